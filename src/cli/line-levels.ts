/** Levels of syslog(3) that lines on stderr have. */
export const levels = {error: 3, warning: 4, notice: 5, info: 6} as const;

export type LineLevel = keyof typeof levels;
