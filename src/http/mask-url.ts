const secretName = /token|secret|password|credential|signature|^sig$|^auth|key$/i;

/** The URL as messages may show it: no userinfo, no value of a query parameter that looks like a secret. */
export function maskUrl(text: string): string {
  if (!URL.canParse(text)) return text.replace(/\/\/[^/?#]*@/, '//***@');
  const url = new URL(text);
  const [, shownQuery = ''] = /\?([^#]*)/.exec(text) ?? [];
  const secrets = [...url.searchParams.keys()].filter((name) => secretName.test(name));
  if (url.username === '' && url.password === '' && secrets.length === 0) return text;
  const masked = shownQuery.replace(/([^&=]+)=([^&]*)/g, (pair, name: string) =>
    secrets.includes(decodeName(name)) ? `${name}=***` : pair,
  );
  return text.replace(/\/\/[^/?#]*@/, '//***@').replace(shownQuery, () => masked);
}

/** The text with every web address in it as `maskUrl` shows it; what ends a sentence is no part of one. */
export function maskUrls(text: string): string {
  if (!text.includes('://')) return text;
  return text.replace(/\bhttps?:\/\/[^\s"'<>\\]*[^\s"'<>\\:,;.)]/gi, maskUrl);
}

function decodeName(name: string): string {
  return [...new URLSearchParams(`${name}=`).keys()][0] ?? name;
}
