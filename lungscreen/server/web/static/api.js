// The REST interface; a session that has ended leads to the login page.

export const ROOT = "/api/v1";

export class Refused extends Error {
  constructor(status, reason, detail) {
    super(detail);
    this.status = status;
    this.reason = reason;
  }
}

/** The JSON of an answer; throws `Refused` with what the server says. */
export async function ask(path, method = "GET", body = undefined) {
  const options = { method, headers: { Accept: "application/json" } };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  const answer = await fetch(`${ROOT}${path}`, options);
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  throw await refusal(answer.status, () => answer.json());
}

export async function refusal(status, read) {
  if (status === 401 && location.pathname !== "/login") location.assign("/login");
  try {
    const said = await read();
    return new Refused(status, said.reason, said.detail);
  } catch {
    return new Refused(status, "no_answer", `the server answered ${status}`);
  }
}
