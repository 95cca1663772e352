import { useState } from "react";

import { BackendError, type Api } from "../api/client.ts";

/** What the page raises when the backend has failed, to see both arrive in one trace. */
export class ProvokedError extends Error {
  override readonly name = "ProvokedError";
}

/** A button whose click fails in the backend and then in the page. */
export function ErrorButton({ fail }: { readonly fail: Api["fail"] }) {
  const [said, setSaid] = useState("");
  const provoke = async (): Promise<void> => {
    setSaid("");
    try {
      await fail();
    } catch (error) {
      if (!(error instanceof BackendError) || error.status === 0) {
        setSaid("The backend could not be asked to fail.");
        return;
      }
      setSaid("Failed on purpose, in the backend and in the page. Rollbar has both, under one trace.");
      // Nobody handles it: it takes the way of every error that was not foreseen.
      throw new ProvokedError("provoked by the error button", { cause: error });
    }
  };
  return (
    <section className="trouble" aria-label="Errors on purpose">
      <button type="button" data-action="provoke error" onClick={() => void provoke()}>
        Raise an error
      </button>
      <p role="status">{said}</p>
    </section>
  );
}
