// The gate of verify.js as a program for the conformance kit: node verifier.js, questions in, answers out.

import { createInterface } from "node:readline";
import { makeVerifier } from "./kit.js";

const answer = makeVerifier();
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const question = JSON.parse(line);
  if ("id" in question) process.stdout.write(`${JSON.stringify(await answer(question))}\n`);
}
