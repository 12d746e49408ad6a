/** The catalogue's style sheet; the browser's own light or dark colours. */
export const stylesheet = `:root { color-scheme: light dark; --line: light-dark(#d5d9de, #3a4048); --quiet: light-dark(#57606a, #9aa4af); }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; font: 15px/1.45 system-ui, sans-serif; }
header { display: flex; flex-wrap: wrap; gap: .5rem 2rem; align-items: baseline; border-bottom: 1px solid var(--line); padding-bottom: .8rem; }
h1 { font-size: 1.4rem; margin: 0; }
h1 a { color: inherit; text-decoration: none; }
form { display: flex; flex: 1; flex-wrap: wrap; gap: .5rem; align-items: baseline; }
input[type=search] { flex: 1; min-width: 12rem; max-width: 30rem; }
input, select, button { font: inherit; padding: .25rem .5rem; }
.count, nav { color: var(--quiet); }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 600; color: var(--quiet); }
th, td { padding: .3rem .8rem .3rem 0; vertical-align: top; overflow-wrap: anywhere; }
tbody { border-top: 1px solid var(--line); }
.more td { padding-top: 0; }
.number { text-align: right; white-space: nowrap; }
.name { font-weight: 600; }
.name img { margin-right: .4rem; vertical-align: middle; }
.command { user-select: all; color: var(--quiet); }
details { margin-top: .2rem; }
summary { cursor: pointer; color: var(--quiet); }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--line); padding: .6rem; margin: .4rem 0; font-size: 13px; }
nav { padding: 1rem 0; display: flex; flex-wrap: wrap; gap: 1rem; }
`;
