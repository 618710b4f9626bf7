// A visitor's chat with stubs alone: start, send, watch, lose the connection, resume, read refusals.
//
// The environment has ADDRESS, CHANNEL_ID, VISITOR_TOKEN, and EXPIRED_TOKEN, an older token of the same visitor. `cut` on
// standard output asks the driver (tests/clients/run.py) to cut the connection; meanwhile the team answers and closes the chat.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"reflect"
	"sort"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	api "example.com/shop/gen/frontdesk/conversation/v1"
)

func expect(found, wanted any) {
	if !reflect.DeepEqual(found, wanted) {
		fail(fmt.Sprintf("found %v instead of %v", found, wanted))
	}
}

func fail(message any) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(1)
}

func must[T any](value T, err error) T {
	if err != nil {
		fail(err)
	}
	return value
}

func refused(err error) Refusal {
	if err == nil {
		fail("a call that should be refused was not")
	}
	refusal := readRefusal(err)
	sort.Strings(refusal.Fields)
	fmt.Println("refused:", refusal.Code, refusal.Reason, refusal.Metadata, refusal.Fields)
	return refusal
}

func main() {
	if len(os.Args) > 1 {
		map[string]func(){"engine": playEngine, "events": readEvents, "play": playChat}[os.Args[1]]()
		return
	}
	connection := must(grpc.NewClient(os.Getenv("ADDRESS"), grpc.WithTransportCredentials(insecure.NewCredentials())))
	defer connection.Close()
	visitors := api.NewVisitorServiceClient(connection)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	caller := calling(ctx, os.Getenv("VISITOR_TOKEN"))

	chat := must(visitors.StartChat(caller, &api.StartChatRequest{
		ChannelId: os.Getenv("CHANNEL_ID"), PageUrl: "https://shop.example/", RequestId: rand.Text(),
	})).Chat
	hello := &api.SendMessageRequest{ChatId: chat.Id, Text: "Is my bicycle ready?", RequestId: rand.Text()}
	sent := must(visitors.SendMessage(caller, hello)).Entry
	expect(proto.Equal(must(visitors.SendMessage(caller, hello)).Entry, sent), true) // A repeat sends once.

	openings, current := 0, os.Getenv("EXPIRED_TOKEN")
	token := func(renew bool) string {
		openings++
		if renew { // A renewed one comes from your back end.
			current = os.Getenv("VISITOR_TOKEN")
		}
		return current
	}
	var next int32
	var texts []string
	for entry, err := range watchChat(ctx, visitors, chat.Id, 0, token) {
		must(entry, err)
		next++
		expect(entry.VisitorSequence, next) // No gap, no repeat.
		fmt.Printf("%d. %s: %s\n", entry.VisitorSequence, entry.GetAuthor().GetName(), entry.GetMessage().GetText())
		if entry.GetMessage() != nil {
			texts = append(texts, entry.GetMessage().Text)
		}
		if entry.RequestId == hello.RequestId {
			fmt.Println("cut", chat.Id)
		}
		if entry.GetEnded() != nil {
			break
		}
	}
	expect(texts, []string{"Is my bicycle ready?", "Nearly.", "Now it is."})
	expect(openings > 2, true) // With the expired token, with the new one, after the cut.

	_, err := visitors.SendMessage(caller, &api.SendMessageRequest{ChatId: chat.Id, Text: "Thank you!", RequestId: rand.Text()})
	closed := refused(err)
	expect(closed.Code, codes.FailedPrecondition)
	expect(closed.Reason, "CONVERSATION_CLOSED")
	expect(closed.Metadata["close_number"], "1")
	_, err = visitors.SendMessage(caller, &api.SendMessageRequest{ChatId: "x", Text: "\x01", RequestId: rand.Text()})
	invalid := refused(err)
	expect(invalid.Code, codes.InvalidArgument)
	expect(invalid.Reason, "INVALID_FIELDS")
	expect(invalid.Fields, []string{"chat_id", "text"})
	fmt.Println("done")
}
