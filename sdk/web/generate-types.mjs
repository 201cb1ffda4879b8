// Writes src/contract.ts: TypeScript types of what a page may send and of what it is answered,
// from the contract's JSON Schema (schemas/openapi.v1.json, which comes from the pydantic models).
import { readFile, writeFile } from "node:fs/promises";
import { compile } from "json-schema-to-typescript";

const api = JSON.parse(await readFile(new URL("../../schemas/openapi.v1.json", import.meta.url), "utf8"));
const definitions = {};
const collect = (name) => {
  if (name in definitions) return;
  definitions[name] = null;
  definitions[name] = plain(api.components.schemas[name]);
};
// json-schema-to-typescript wants `definitions`; a `title` would name a type after the event instead of the vote.
const plain = (schema) => {
  if (Array.isArray(schema)) return schema.map(plain);
  if (schema === null || typeof schema !== "object") return schema;
  const { title, discriminator, maxItems, minItems, ...rest } = schema;
  const copy = Object.fromEntries(
    Object.entries(rest).map(([key, value]) => [key, key === "properties" ? properties(value) : plain(value)]),
  );
  if (typeof copy.$ref === "string") {
    const name = copy.$ref.split("/").pop();
    collect(name);
    return { $ref: `#/definitions/${name}` };
  }
  return copy;
};
const properties = (found) => Object.fromEntries(Object.entries(found).map(([key, value]) => [key, plain(value)]));

for (const name of ["Vote", "Verdicts"]) collect(name);
definitions.JsonValue = { tsType: "unknown" };
const schema = { type: "object", additionalProperties: false, definitions };
const text = await compile(schema, "Contract", {
  additionalProperties: false,
  bannerComment: "// Generated from schemas/openapi.v1.json by `npm run types`; not edited by hand.",
  unreachableDefinitions: true,
  format: true,
});
const readable = text
  .replace(/\n(?: \*\n)? \* This interface was referenced by `Contract`'s JSON-Schema\n \* via the `definition` "\w+"\.(?=\n)/g, "")
  .replace("export interface Contract {}\n", "")
  .replace(/\/\*\*\n \*\/\n/g, "");
await writeFile(new URL("src/contract.ts", import.meta.url), readable);
