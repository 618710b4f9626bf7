"""An independent S3 server for tests: moto, which checks the signature of each request, on a free loopback port, with one bucket.

Prints one line of JSON: its endpoint, and the id and secret of a key that may use the bucket. Answers each line on its standard
input with a line of JSON: the names of the objects, and the number of uploads that are neither completed nor aborted. Ends when
its standard input is closed.
"""

import json
import logging
import os
import sys

# The calls below that make the key; moto checks signatures from the next one on.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "4"

import boto3
from moto.server import ThreadedMotoServer

bucket = sys.argv[1]
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
endpoint = "http://%s:%d" % server.get_host_and_port()


def client(service, key_id="setup", secret="setup"):
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
    )


actions = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
of_objects = {"Effect": "Allow", "Action": actions, "Resource": f"arn:aws:s3:::{bucket}/*"}
actions = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]
of_bucket = {"Effect": "Allow", "Action": actions, "Resource": f"arn:aws:s3:::{bucket}"}
policy = {"Version": "2012-10-17", "Statement": [of_objects, of_bucket]}
iam = client("iam")
iam.create_user(UserName="frontdesk")
iam.put_user_policy(UserName="frontdesk", PolicyName="bucket", PolicyDocument=json.dumps(policy))
key = iam.create_access_key(UserName="frontdesk")["AccessKey"]
client("s3").create_bucket(Bucket=bucket)
print(
    json.dumps({"endpoint": endpoint, "key_id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}),
    flush=True,
)

s3 = client("s3", key["AccessKeyId"], key["SecretAccessKey"])
for _ in sys.stdin:
    objects = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    uploads = s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    print(json.dumps({"objects": [found["Key"] for found in objects], "uploads": len(uploads)}), flush=True)
server.stop()
