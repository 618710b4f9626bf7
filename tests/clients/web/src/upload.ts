import type { UploadTarget } from "../gen/frontdesk/conversation/v1/attachment_pb";

/** Sends the bytes of a file to its target; the answer is a sentence when they are refused. */
export async function put(file: File, target: UploadTarget) {
  const response = await fetch(target.url, { method: "PUT", headers: target.headers, body: file });
  if (!response.ok) throw new Error((await response.text()).trim());
}

/** The media type of a file as the contract takes it: in lower case, without parameters. */
export const mediaType = (file: File) => /^[a-z0-9.+-]{1,100}\/[a-z0-9.+-]{1,100}/.exec(file.type.toLowerCase())?.[0] ?? "";

export const readableSize = (bytes: number) =>
  bytes < 1024 ? `${bytes} B` : bytes < 1024 * 1024 ? `${Math.round(bytes / 1024)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
