import type { UploadTarget } from "./gen/frontdesk/conversation/v1/attachment_pb.js";

/** Sends the bytes of an announced attachment. The address is the permission, so there is no token. */
export async function upload(target: UploadTarget, content: string) {
  const answer = await fetch(target.url, { method: "PUT", headers: target.headers, body: new TextEncoder().encode(content) });
  if (answer.status !== 200) throw new Error(await answer.text()); // A sentence that says what is wrong.
}

export async function download(url: string) {
  return (await fetch(url)).text();
}
