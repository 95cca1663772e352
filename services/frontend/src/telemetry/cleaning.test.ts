import { describe, expect, it } from "vitest";

import { clean, cleanAttributes } from "./cleaning.ts";

describe("what leaves the browser", () => {
  it.each([
    ["http://127.0.0.1:4567/api/activities/search?term=mine", "http://127.0.0.1:4567/api/activities/search"],
    ["http://user:pw@host/path#part", "http://host/path"],
    ["failed at http://host/a?b=c, twice", "failed at http://host/a twice"],
    ["password=hunter2 and more", "password=**** and more"],
    ['{"token": "abc"}', '{"token": "****"}'],
    ["Authorization: Bearer abcdefghijklmnopqrstuvwx", "Authorization: ****"],
    ["key AKIAABCDEFGHIJKLMNOP here", "key **** here"],
    ["nothing to hide", "nothing to hide"],
  ])("%s → %s", (given, expected) => {
    expect(clean(given)).toBe(expected);
  });

  it("keeps numbers, cleans each text of a list, and hides what is secret by its name", () => {
    const given = { count: 3, token: 7, texts: ["secret=x", "fine"] };
    expect(cleanAttributes(given)).toEqual({
      count: 3,
      token: "****",
      texts: ["secret=****", "fine"],
    });
  });
});
