"""Reads a refusal: what a program decides by, from the details of an error."""

from typing import NamedTuple

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status


class Refusal(NamedTuple):
    code: grpc.StatusCode
    reason: str = ""
    metadata: dict = {}
    fields: tuple = ()
    retry_delay: float = 0.0
    domain: str = ""


def read_refusal(error: grpc.RpcError) -> Refusal:
    refusal = Refusal(error.code())
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info, retry, bad = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info):
            refusal = refusal._replace(domain=info.domain, reason=info.reason, metadata=dict(info.metadata))
        elif detail.Unpack(retry):
            refusal = refusal._replace(retry_delay=retry.retry_delay.ToTimedelta().total_seconds())
        elif detail.Unpack(bad):
            refusal = refusal._replace(fields=tuple(violation.field for violation in bad.field_violations))
    return refusal
