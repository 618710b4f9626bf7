import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";

/** What a program decides by, from the details of an error. */
export function readRefusal(error: unknown) {
  const refusal = ConnectError.from(error);
  const [info] = refusal.findDetails(ErrorInfoSchema);
  const [retry] = refusal.findDetails(RetryInfoSchema);
  return {
    code: refusal.code,
    name: Code[refusal.code],
    domain: info?.domain ?? "",
    reason: info?.reason ?? "",
    metadata: info?.metadata ?? {},
    fields: refusal.findDetails(BadRequestSchema).flatMap((bad) => bad.fieldViolations.map((violation) => violation.field)),
    retryDelayMs: Number(retry?.retryDelay?.seconds ?? 0) * 1000 + (retry?.retryDelay?.nanos ?? 0) / 1e6,
  };
}
