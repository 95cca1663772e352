import { useEffect, useRef, useState } from "react";

import { BackendError, type Api } from "../api/client.ts";

/** What the page raises when the backend has failed, to see both arrive in one trace. */
export class ProvokedError extends Error {
  override readonly name = "ProvokedError";
}

interface Props {
  readonly fail: Api["fail"];
  /** The trace of what the user does now; undefined without telemetry. */
  readonly traceId: () => string | undefined;
}

/** A button whose click fails in the backend and then in the page. */
export function ErrorButton({ fail, traceId }: Props) {
  const [said, setSaid] = useState("");
  const [trace, setTrace] = useState<string>();
  const result = useRef<HTMLDivElement>(null);
  // It is the page's last line: below the screen's edge otherwise.
  useEffect(() => {
    if (said) result.current?.scrollIntoView({ block: "nearest" });
  }, [said]);
  const provoke = async (): Promise<void> => {
    setSaid("");
    const own = traceId();
    setTrace(undefined);
    try {
      await fail();
    } catch (error) {
      if (!(error instanceof BackendError) || error.status === 0) {
        setSaid("The backend could not be asked to fail.");
        return;
      }
      setSaid("Failed on purpose, in the backend and in the page. Rollbar has both, under one trace.");
      setTrace(own);
      // Nobody handles it: it takes the way of every error that was not foreseen.
      throw new ProvokedError("provoked by the error button", { cause: error });
    }
  };
  return (
    <section className="trouble" aria-label="Errors on purpose">
      <button type="button" data-action="provoke error" onClick={() => void provoke()}>
        Raise an error
      </button>
      <div ref={result}>
        <p role="status">{said}</p>
        {trace && (
          <p>
            Trace <code>{trace}</code>{" "}
            <button
              type="button"
              data-action="copy trace id"
              onClick={() => void navigator.clipboard.writeText(trace)}
            >
              Copy
            </button>
          </p>
        )}
      </div>
    </section>
  );
}
