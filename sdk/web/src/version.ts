/** Set by the build from package.json. */
declare const __VERSION__: string;

/** What every event says of the library that sent it. */
export const SDK = `thumbline-web/${__VERSION__}`;
