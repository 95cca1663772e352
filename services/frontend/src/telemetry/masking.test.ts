import { readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { clean } from "./cleaning.ts";
import { isSecretName, mask } from "./masking.ts";

const examples = readFileSync(
  join(import.meta.dirname, "../../../../tests/corpus/secrets.json"),
  "utf8",
);
// A ~ keeps scanners from taking an example for a secret.
const corpus = JSON.parse(examples.replaceAll("~", "")) as {
  masked: [given: string, masked: string][];
  kept: string[];
  names: { hidden: string[]; shown: string[] };
};

describe("what the collector and the services mask, and nothing else", () => {
  it.each(corpus.masked)("%s → %s", (given, masked) => {
    expect(mask(given)).toBe(masked);
    expect(clean(given)).not.toContain("s3cret");
  });

  it.each(corpus.kept)("%s stays", (text) => {
    expect(mask(text)).toBe(text);
  });

  it("by name, too", () => {
    expect(corpus.names.hidden.filter((name) => !isSecretName(name))).toEqual([]);
    expect(corpus.names.shown.filter((name) => isSecretName(name))).toEqual([]);
  });
});

describe("a text made to hold up the page", () => {
  it.each([
    ["password ", " "],
    ["://", "a:"],
    ["", "a@"],
    ["", "a."],
    ["-----BEGIN ", "PRIVATE KEY "],
    ["key=", "%2"],
    ["", "4111 "],
    ["bearer", "%20"],
    ["token=", '\\"'],
    ["", "eyJaaaaaaaa."],
    ["cookie: a", "; b=c"],
    ["cookie: a", '; b="'],
    ["token", "["],
    ["token=", "("],
    ["token=", "a="],
    ["token=[", "token= "],
    ['password"', " "],
    ["", '-key",'],
    ["", "-key','"],
    ["", "--a-"],
    ["", "token=&quot;"],
    ["", " -u "],
    [" -u ", "1"],
    ["password", "%20"],
    ["password is ", "a!"],
    ["password is 1a", "1-"],
    ["a@", "1-"],
    ["DE89", "1111 "],
    ["", "mysql a"],
    ["mysql", " a"],
    ["", "f('token"],
    ["f('", "token"],
    ["", "token: a"],
    ["", "token<"],
    ["", "123-45-"],
    ["", "adafruit "],
    ["", "sentry_token, "],
    ["sntrys_eyJpYXQiO", "LCJyZWdpb25fdXJs"],
    ["", "pat.aaaaaaaaaaaaaaaaaaaaaa."],
    ["xapp-1-a-1-", "a1"],
  ])("%j and 32 kB of %j", (head, repeated) => {
    const text = head + repeated.repeat(32_768 / repeated.length);
    // Of the processor's: a machine that pauses here is no slow pattern.
    const began = process.cpuUsage();
    mask(text);
    const { user, system } = process.cpuUsage(began);
    expect((user + system) / 1000).toBeLessThan(1000);
  });
});
