// Frontdesk's stubs beside protovalidate's module and another company's options with the same numbers.
package main

import (
	"errors"
	"log"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"

	api "example.com/shop/gen/frontdesk/conversation/v1"
	optionsv1 "example.com/shop/gen/shop/options/v1"
)

func main() {
	id := (&optionsv1.Parcel{}).ProtoReflect().Descriptor().Fields().ByName("id")
	if owner := proto.GetExtension(id.Options(), optionsv1.E_FieldOwner); owner != "warehouse" {
		log.Fatal(owner)
	}
	err := protovalidate.Validate(&api.SendMessageRequest{ChatId: "x", Text: "Hello", RequestId: "1"})
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) || len(invalid.Violations) != 1 || protovalidate.FieldPathString(invalid.Violations[0].Proto.GetField()) != "chat_id" {
		log.Fatal(err)
	}
}
