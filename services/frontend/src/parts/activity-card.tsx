import type { Activity } from "../api/client.ts";
import { Link } from "./link.tsx";
import { distance } from "./times.ts";

/** One message and, beneath it, its replies. */
export function ActivityCard({ activity }: { readonly activity: Activity }) {
  return (
    <article className="card">
      <Said activity={activity} />
      {activity.replies && activity.replies.length > 0 && (
        <ul className="replies" aria-label={`${activity.replies.length} replies`}>
          {activity.replies.map((reply) => (
            <li key={reply.uuid}>
              <Said activity={reply} />
            </li>
          ))}
        </ul>
      )}
    </article>
  );
}

function Said({ activity }: { readonly activity: Activity }) {
  const { handle, display_name: name, picture, created_at: created } = activity;
  return (
    <div className="said">
      {picture ? (
        <img className="face" src={picture} alt="" width="44" height="44" />
      ) : (
        <span className="face" aria-hidden="true">
          {handle.slice(0, 1).toUpperCase()}
        </span>
      )}
      <div className="words">
        <p className="who">
          <Link href={`/@${handle}`} data-action="open person">
            {name && <strong>{name}</strong>} <span>@{handle}</span>
          </Link>
          <time dateTime={created} title={new Date(created).toLocaleString()}>
            {distance(created)}
          </time>
        </p>
        <p className="message">{activity.message}</p>
        <p className="counts">
          <span>{counted(activity.replies_count, "reply", "replies")}</span>
          <span>{counted(activity.reposts_count, "repost", "reposts")}</span>
          <span>{counted(activity.likes_count, "like", "likes")}</span>
          <span>expires {distance(activity.expires_at)}</span>
        </p>
      </div>
    </div>
  );
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}
