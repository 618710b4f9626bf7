package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "example.com/shop/gen/frontdesk/event/v1" // So that the types of all events are known by name.
)

// decodeEvent returns the message of an event, or nil if its type is newer than these stubs.
func decodeEvent(message jetstream.Msg) (proto.Message, error) {
	name := protoreflect.FullName(message.Headers().Get("ce-type"))
	kind, err := protoregistry.GlobalTypes.FindMessageByName(name)
	if errors.Is(err, protoregistry.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	event := kind.New().Interface()
	return event, proto.Unmarshal(message.Data(), event)
}

// handleEvent is your effect. Of two events of an aggregate, the one with the higher version is newer.
func handleEvent(headers nats.Header, event proto.Message) {
	name := "unknown " + headers.Get("ce-type")
	if event != nil {
		name = string(event.ProtoReflect().Descriptor().Name())
	}
	fmt.Println(name, headers.Get("ce-aggregatetype"), headers.Get("ce-aggregateid"), headers.Get("ce-aggregateversion"))
}

// readEvents reads Frontdesk's events from NATS and handles each once, across lost connections. docs/events.md explains what they are.
//
// The environment has NATS_URL, NATS_USER, which is also the name of the consumer, NATS_PASSWORD, and STREAM, such as
// FRONTDESK_CONVERSATION. It ends after the first event of the type UNTIL.
func readEvents() {
	user := os.Getenv("NATS_USER")
	connection := must(nats.Connect(os.Getenv("NATS_URL"),
		nats.UserInfo(user, os.Getenv("NATS_PASSWORD")), nats.CustomInboxPrefix("_INBOX_"+user),
		nats.MaxReconnects(-1), nats.ReconnectWait(250*time.Millisecond)))
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	consumer := must(must(jetstream.NewWithAPIPrefix(connection, "JS.FRONTDESK.API")).Consumer(ctx, os.Getenv("STREAM"), user))
	messages := must(consumer.Messages(jetstream.PullMaxMessages(16), jetstream.PullExpiry(5*time.Second)))
	defer messages.Stop()

	// Ids of the events that were handled. In your program: a table, written in the transaction of the effect.
	handled := map[string]bool{}
	for {
		message, err := messages.Next()
		if errors.Is(err, jetstream.ErrNoHeartbeat) { // The connection was lost: the client makes a new one.
			continue
		}
		must(message, err)
		headers := message.Headers()
		id := headers.Get("ce-id")
		if handled[id] {
			fmt.Println("again", id)
		} else {
			handleEvent(headers, must(decodeEvent(message)))
			handled[id] = true
		}
		if err := message.Ack(); err != nil {
			fmt.Fprintln(os.Stderr, "the event comes again:", err)
		}
		if headers.Get("ce-type") == os.Getenv("UNTIL") {
			break
		}
	}
	must(0, connection.Flush())
	fmt.Println("done")
}
