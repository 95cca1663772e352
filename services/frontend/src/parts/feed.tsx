import { useEffect, useState } from "react";

import { BackendError, InvalidFieldsError, type Activity } from "../api/client.ts";
import { ActivityCard } from "./activity-card.tsx";

type Load = (signal: AbortSignal) => Promise<readonly Activity[]>;

interface Props {
  /** Has to stay the same function as long as the same is to be loaded. */
  readonly load: Load;
  readonly empty: string;
  /** Shown first, before they are part of a loaded feed. */
  readonly fresh?: readonly Activity[];
}

type State =
  | { readonly kind: "loading" }
  | { readonly kind: "loaded"; readonly activities: readonly Activity[] }
  | { readonly kind: "failed"; readonly why: string };

const NONE: readonly Activity[] = [];

/** Activities as they are loaded, while they are not there, and when they do not come. */
export function Feed(props: Props) {
  const [attempt, setAttempt] = useState(0);
  return <Attempt key={attempt} {...props} again={() => setAttempt((before) => before + 1)} />;
}

function Attempt({ load, empty, fresh = NONE, again }: Props & { readonly again: () => void }) {
  const [state, setState] = useState<State>({ kind: "loading" });

  useEffect(() => {
    const abort = new AbortController();
    load(abort.signal).then(
      (activities) => setState({ kind: "loaded", activities }),
      (error: unknown) => {
        if (!abort.signal.aborted) setState({ kind: "failed", why: told(error) });
      },
    );
    return () => abort.abort();
  }, [load]);

  if (state.kind === "loading") return <Loading />;
  if (state.kind === "failed") {
    return (
      <section className="notice" role="alert">
        <h2>The feed did not come</h2>
        <p>{state.why}</p>
        <button type="button" data-action="try again" onClick={again}>
          Try again
        </button>
      </section>
    );
  }
  const known = new Set(state.activities.map(({ uuid }) => uuid));
  const shown = [...fresh.filter(({ uuid }) => !known.has(uuid)), ...state.activities];
  if (shown.length === 0) return <p className="notice">{empty}</p>;
  return (
    <div className="feed">
      {shown.map((activity) => (
        <ActivityCard key={activity.uuid} activity={activity} />
      ))}
    </div>
  );
}

function Loading() {
  return (
    <div className="feed" role="status">
      <span className="unseen">Loading</span>
      {["first", "second", "third"].map((name) => (
        <div key={name} className="card ghost" aria-hidden="true" />
      ))}
    </div>
  );
}

/** An error in words for the user. */
export function told(error: unknown): string {
  if (error instanceof InvalidFieldsError) {
    return Object.entries(error.fields)
      .map(([name, text]) => `${name} ${text}`)
      .join("; ");
  }
  if (error instanceof BackendError) return error.message;
  return "Something in this page went wrong.";
}
