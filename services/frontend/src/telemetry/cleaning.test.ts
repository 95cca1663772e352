import { describe, expect, it } from "vitest";

import { clean, cleanAttributes } from "./cleaning.ts";

describe("what leaves the browser", () => {
  it.each([
    ["http://127.0.0.1:4567/api/activities/search?term=mine", "http://127.0.0.1:4567/api/activities/search"],
    ["http://user:pw@host/path#part", "http://host/path"],
    ["failed at http://host/a?b=c, twice", "failed at http://host/a twice"],
    ["password=hunter2 and more", "password=[redacted] and more"],
    ['{"token": "abc"}', '{"token": [redacted]}'],
    ["Authorization: Bearer abcdefghijklmnopqrstuvwx", "Authorization: [redacted]"],
    ["key AKIAABCDEFGHIJKLMNOP here", "key [redacted] here"],
    ["nothing to hide", "nothing to hide"],
  ])("%s → %s", (given, expected) => {
    expect(clean(given)).toBe(expected);
  });

  it("keeps numbers and cleans each text of a list", () => {
    expect(cleanAttributes({ count: 3, texts: ["secret=x", "fine"] })).toEqual({
      count: 3,
      texts: ["secret=[redacted]", "fine"],
    });
  });
});
