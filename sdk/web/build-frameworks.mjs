// Bundles the pages of tests/browser/frameworks, with the frameworks' own packages, for the tests in a browser.
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
await build({
  entryPoints: ["react", "vue"].map((name) => at(`../../tests/browser/frameworks/${name}.mjs`)),
  nodePaths: [at("node_modules")],
  outdir: at("../../.cache/frameworks"),
  bundle: true,
  format: "iife",
  define: { "process.env.NODE_ENV": '"production"', __VUE_OPTIONS_API__: "false", __VUE_PROD_DEVTOOLS__: "false", __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false" },
});
