import { useId, useState, type SubmitEvent } from "react";

import { InvalidFieldsError, type Activity, type Api } from "../api/client.ts";
import { told } from "./feed.tsx";

/** As the backend has it; it alone refuses. */
const LONGEST_MESSAGE = 280;
const LIFETIMES = ["30-days", "7-days", "3-days", "1-day", "12-hours", "3-hours", "1-hour"];

interface Props {
  readonly post: Api["post"];
  readonly posted: (activity: Activity) => void;
  /** What was written and not posted yet. */
  readonly message: string;
  readonly write: (message: string) => void;
}

/** The form that writes a message. What is wrong with it, the backend says. */
export function Compose({ post, posted, message, write }: Props) {
  const id = useId();
  const [handle, setHandle] = useState("andrewbrown");
  const [ttl, setTtl] = useState("7-days");
  const [wrong, setWrong] = useState<Readonly<Record<string, string>>>({});
  const [failed, setFailed] = useState("");
  const [done, setDone] = useState("");
  const [busy, setBusy] = useState(false);

  const send = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setWrong({});
    setFailed("");
    setDone("");
    try {
      posted(await post({ handle, message, ttl }));
      write("");
      setDone("Posted.");
    } catch (error) {
      if (error instanceof InvalidFieldsError) {
        setWrong(error.fields);
        const first = ["handle", "message", "ttl"].find((name) => name in error.fields);
        if (first) document.getElementById(`${id}-${first}`)?.focus();
      } else setFailed(told(error));
    } finally {
      setBusy(false);
    }
  };

  const described = (name: string) => ({
    id: `${id}-${name}`,
    ...(wrong[name] ? { "aria-invalid": true, "aria-describedby": `${id}-${name}-wrong` } : {}),
  });
  const complaint = (name: string) =>
    wrong[name] && (
      <p className="wrong" id={`${id}-${name}-wrong`}>
        {`${name} ${wrong[name]}`}
      </p>
    );
  // The backend counts characters; JavaScript's length has two for an emoji.
  const left = LONGEST_MESSAGE - Array.from(message.trim()).length;
  return (
    <form className="card compose" data-action="post" aria-label="Post" noValidate onSubmit={(event) => void send(event)}>
      <label htmlFor={`${id}-message`}>What happened?</label>
      <textarea
        {...described("message")}
        rows={3}
        value={message}
        onChange={(event) => write(event.target.value)}
      />
      {complaint("message")}
      <div className="row">
        <div>
          <label htmlFor={`${id}-handle`}>As</label>
          <input
            {...described("handle")}
            value={handle}
            autoComplete="username"
            onChange={(event) => setHandle(event.target.value)}
          />
        </div>
        <div>
          <label htmlFor={`${id}-ttl`}>Expires after</label>
          <select {...described("ttl")} value={ttl} onChange={(event) => setTtl(event.target.value)}>
            {LIFETIMES.map((name) => (
              <option key={name} value={name}>
                {name.replace("-", " ")}
              </option>
            ))}
          </select>
        </div>
        <span className={left < 0 ? "left over" : "left"}>{left} left</span>
        <button type="submit" className="primary" aria-disabled={busy}>
          {busy ? "Posting" : "Post"}
        </button>
      </div>
      {complaint("handle")}
      {complaint("ttl")}
      <p role="status" className={failed ? "wrong" : "done"}>
        {failed || done}
      </p>
    </form>
  );
}
