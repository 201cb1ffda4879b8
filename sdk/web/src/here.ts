/** Set by the build: the URL of the file that runs, as a script or as a module. */
declare const __FILE__: string;

const file: string = __FILE__;
// Read while the script runs: later nobody knows which tag it came from.
const said = document.currentScript?.getAttribute("data-collector");

/** The collector that the script's tag names, or the one that the script came from. */
export function here(): string {
  return said || new URL(".", file).href;
}

/** The URL of a file beside this one. */
export function beside(name: string): string {
  return new URL(name, file).href;
}
