// Frontdesk's stubs beside protovalidate's package and another company's options with the same numbers.
import { create, getOption } from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import { SendMessageRequestSchema } from "./gen/frontdesk/conversation/v1/visitor_service_pb.js";
import { field_owner, ParcelSchema } from "./gen/shop/options/v1/options_pb.js";

const owner = getOption(ParcelSchema.field.id, field_owner);
const result = createValidator().validate(SendMessageRequestSchema, create(SendMessageRequestSchema, { chatId: "x", text: "Hello", requestId: "1" }));
const fields = result.violations?.map((violation) => violation.field.map((part) => ("name" in part ? part.name : "")).join("."));
if (owner !== "warehouse" || String(fields) !== "chat_id") throw new Error(`${owner} ${fields}`);
