// Builds the bundles, each as a module and as one script, into dist/ for npm and beside the collector, which serves them.
import { copyFile, mkdir, readFile, rm } from "node:fs/promises";
import { build, transform } from "esbuild";

const { version } = JSON.parse(await readFile(new URL("package.json", import.meta.url), "utf8"));
const served = new URL("../../ingest/thumbline_ingest/collector/static/", import.meta.url);
const dist = new URL("dist/", import.meta.url);

// The sheet of the elements is text inside a script, which no minifier of scripts touches.
const styles = {
  name: "styles",
  setup: (own) =>
    own.onLoad({ filter: /style\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      const [css] = source.match(/(?<=`)[^`]+(?=`)/);
      const { code } = await transform(css, { loader: "css", minify: true, target: "es2022" });
      return { contents: source.replace(css, code.trim()), loader: "ts" };
    }),
};
const common = {
  bundle: true,
  minify: true,
  legalComments: "none",
  target: "es2022",
  plugins: [styles],
  charset: "utf8",
  absWorkingDir: new URL(".", import.meta.url).pathname,
  banner: { js: `/*! thumbline ${version}, Apache-2.0 */` },
};
const file = { iife: "document.currentScript.src", esm: "import.meta.url" };
const bundles = [
  { name: "thumbline", entry: "src/index.ts", format: "iife", globalName: "thumbline" },
  { name: "thumbline", entry: "src/index.ts", format: "esm" },
  { name: "thumbline-elements", entry: "src/elements/index.ts", format: "iife" },
  { name: "thumbline-elements", entry: "src/elements/index.ts", format: "esm" },
];

await rm(dist, { recursive: true, force: true });
await mkdir(served, { recursive: true });
for (const { name, entry, format, ...rest } of bundles) {
  const output = `${name}.${format === "esm" ? "mjs" : "js"}`;
  await build({
    ...common,
    ...rest,
    format,
    entryPoints: [entry],
    outfile: `dist/${output}`,
    define: { __VERSION__: JSON.stringify(version), __FILE__: file[format] },
  });
  await copyFile(new URL(output, dist), new URL(output, served));
}
