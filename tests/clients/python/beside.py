"""Frontdesk's stubs beside protovalidate's package and another company's options with the same numbers."""

import protovalidate
from frontdesk.conversation.v1.visitor_service_pb2 import SendMessageRequest
from shop.options.v1 import options_pb2

owner = options_pb2.Parcel.DESCRIPTOR.fields_by_name["id"].GetOptions().Extensions[options_pb2.field_owner]
violations = protovalidate.collect_violations(SendMessageRequest(chat_id="x", text="Hello", request_id="1"))
fields = [violation.proto.field.elements[0].field_name for violation in violations]
assert (owner, fields) == ("warehouse", ["chat_id"]), (owner, fields)
