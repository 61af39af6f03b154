// Reads documents by their paths with AsyncAPI's official parser and prints one JSON object a line of what it finds.
// Runs in the folder that holds node_modules.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { Parser } = createRequire(process.cwd() + "/")("@asyncapi/parser");

for (const source of process.argv.slice(2)) {
  const { document, diagnostics } = await new Parser().parse(readFileSync(source, "utf8"), { source });
  const said = diagnostics.map(({ severity, code, message, path }) => ({ severity, code, message, path: path.join("/") }));
  const channels = document ? document.channels().all() : [];
  const found = Object.fromEntries(channels.map((c) => [c.id(), c.messages().all().map((m) => m.id()).sort()]));
  const fields = document ? document.allMessages().all().map((m) => m.payload()?.properties()).filter(Boolean) : [];
  console.log(JSON.stringify({ channels: found, withFields: fields.length, diagnostics: said }));
}
