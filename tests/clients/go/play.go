package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	bots "example.com/shop/gen/frontdesk/botsession/v1"
	api "example.com/shop/gen/frontdesk/conversation/v1"
	events "example.com/shop/gen/frontdesk/event/v1"
	webhooks "example.com/shop/gen/frontdesk/notification/v1beta1"
)

// playChat plays a whole chat, as the widget, the agent, the bot's engine and the back end. The environment has ADDRESS, ACCOUNT_ID,
// CHANNEL_ID, KEY_ID and KEY_SECRET, AGENT_ID and AGENT_TOKEN, BOT_TOKEN of the bot that greets, and ADMIN_TOKEN for its events. `cut` on
// standard output asks the driver (tests/clients/scene.py) to cut the connections to ADDRESS, and to refuse new ones for half a second.
func playChat() {
	ctx, cancel := context.WithTimeout(context.Background(), 80*time.Second)
	defer cancel()
	// Streams have a connection of their own: what fails there does not use up the retries of the calls.
	connection, streams := connect(os.Getenv("ADDRESS")), connect(os.Getenv("ADDRESS"))
	defer connection.Close()
	defer streams.Close()

	// The back end signs a token for each visitor.
	backEnd := issuer{os.Getenv("ACCOUNT_ID"), os.Getenv("CHANNEL_ID"), os.Getenv("KEY_ID"), os.Getenv("KEY_SECRET")}
	visitor := "vera-" + rand.Text()
	page := &widget{
		client: api.NewVisitorServiceClient(connection), watched: api.NewVisitorServiceClient(streams), channelID: backEnd.channel,
		token: backEnd.visitorToken(visitor, map[string]string{"name": "Vera", "email": strings.ToLower(visitor) + "@visitor.example"}),
	}

	// The back end follows the events from now on, by a stream and by webhooks.
	byStream, byWebhook := newEventLog(), newEventLog()
	var openings atomic.Int32
	caughtUp := make(chan struct{})
	go followInto(ctx, byStream, events.NewConversationEventServiceClient(streams), caughtUp, func() string {
		openings.Add(1) // Each stream asks for a token.
		return os.Getenv("ADMIN_TOKEN")
	})
	<-caughtUp
	receiver := listenForWebhooks(func(event postedEvent, body []byte) {
		byWebhook.add(event.ID, event.AggregateID, event.Version, body)
	})
	endpoints := webhooks.NewWebhookServiceClient(connection)
	endpointID := postTo(ctx, endpoints, os.Getenv("ADMIN_TOKEN"), receiver)
	playForged(receiver)

	// The bot's program runs beside.
	engineCtx, stopEngine := context.WithCancel(ctx)
	robot := &engine{client: bots.NewBotEngineServiceClient(streams), token: os.Getenv("BOT_TOKEN"), maxTurns: maxTurns}
	robot.answer = func(ctx context.Context, turn *bots.Turn) error { return answerTurn(ctx, robot, turn) }
	engineEnded := make(chan error, 1)
	go func() { engineEnded <- robot.run(engineCtx) }()

	// The agent's program shows the channel's open chats. There are none.
	conversations, watched := api.NewConversationServiceClient(connection), api.NewConversationServiceClient(streams)
	open := listInbox(ctx, conversations, watched, os.Getenv("AGENT_TOKEN"), backEnd.channel)
	expect(len(open.rows), 0)

	// The visitor starts; the bot greets, and answers a message that brings a file.
	page.start(ctx)
	first := page.chat.Id
	page.untilText("Ask me anything.")
	page.send(ctx, "Is this tyre worn?", page.attach(ctx, "tyre.txt", "It lost air twice."))
	expect(page.open(ctx, page.untilText("Is this tyre worn?")), "It lost air twice.")
	page.untilText("You wrote: Is this tyre worn?")
	playInvalid(ctx, page)

	// The agent takes over from the bot. A repeat of a message posts it once.
	grace := &agent{connection: connection, token: open.token, id: os.Getenv("AGENT_ID"), conversationID: first}
	open.watchUntil(ctx, func(rows map[string]*api.InboxRow) bool {
		return rows[first].GetLastEntry().GetMessage().GetText() == "You wrote: Is this tyre worn?"
	})
	_, err := grace.post(ctx, &api.PostMessageRequest{Text: "Hello, Grace here."})
	inCharge := refused(err)
	expect(inCharge.Code, codes.FailedPrecondition)
	expect(inCharge.Reason, "BOT_IN_CHARGE")
	grace.takeOver(ctx)
	reply := &api.PostMessageRequest{Text: "Hello, Grace here.", RequestId: rand.Text()}
	posted := must(grace.post(ctx, reply))
	expect(proto.Equal(must(grace.post(ctx, reply)), posted), true)
	page.untilText("Hello, Grace here.")

	// All connections are cut. The visitor's message is repeated by the service config until it is sent; the inbox goes on from its
	// cursor and the chat from its last entry.
	cut, lost := sync.OnceFunc(func() { fmt.Println("cut") }), false
	open.lost = sync.OnceFunc(func() {
		lost = true
		page.send(ctx, "It squeaks.")
	})
	open.watchUntil(ctx, func(rows map[string]*api.InboxRow) bool {
		cut()
		return rows[first].GetLastEntry().GetMessage().GetText() == "It squeaks."
	})
	expect(lost, true)
	page.untilText("It squeaks.")
	listed := listInbox(ctx, conversations, watched, open.token, backEnd.channel)
	expect(open.rows[first].Conversation.Version, listed.rows[first].Conversation.Version)

	// The agent sends a file, an insert and a rich text, mentions a colleague, and finds the conversation by words.
	prices := "front wheel,20\nrear wheel,25\n"
	link := &api.RichTextSpan{Text: "All prices", LinkUrl: "https://shop.example/prices"}
	paragraph := &api.RichTextBlock{Block: &api.RichTextBlock_Paragraph{Paragraph: &api.RichTextLine{Spans: []*api.RichTextSpan{link}}}}
	must(grace.post(ctx, &api.PostMessageRequest{
		RichText:      &api.RichText{Blocks: []*api.RichTextBlock{paragraph}},
		InsertIds:     []string{grace.insert(ctx)},
		AttachmentIds: []string{grace.attach(ctx, "prices.csv", prices)},
	}))
	seen := page.untilText("All prices (https://shop.example/prices)")
	expect(seen.GetMessage().Inserts[0].PlainText, "Grace is here until six.")
	expect(page.open(ctx, seen), prices)
	grace.mention(ctx, grace.id)
	grace.search(ctx, "squeaking sad")

	// The agent closes, and reads the transcript, which has no comments.
	grace.close(ctx)
	page.until(func(entry *api.ChatEntry) bool { return entry.GetEnded() != nil })
	open.watchUntil(ctx, func(rows map[string]*api.InboxRow) bool { return rows[first] == nil })
	_, err = page.client.SendMessage(calling(ctx, page.token), &api.SendMessageRequest{ChatId: first, Text: "Thank you!", RequestId: rand.Text()})
	closed := refused(err)
	expect(closed.Code, codes.FailedPrecondition)
	expect(closed.Reason, "CONVERSATION_CLOSED")
	transcript := grace.preview(ctx)
	for _, part := range []string{"Ask me anything.", "Is this tyre worn?", "tyre.txt", "It squeaks.", "prices.csv", "Grace is here until six."} {
		expect(strings.Contains(transcript, part), true)
	}
	expect(strings.Contains(transcript, "squeaking saddle"), false)

	// The visitor starts a new conversation, and the bot hands it off.
	page.start(ctx)
	expect(page.chat.PreviousChatId, first)
	page.untilText("Ask me anything.")
	page.send(ctx, "A person, please")
	page.untilText("A colleague comes.")
	again := &agent{connection: connection, token: grace.token, id: grace.id, conversationID: page.chat.Id}
	again.close(ctx)
	page.until(func(entry *api.ChatEntry) bool { return entry.GetEnded() != nil })
	page.stop()
	stopEngine()
	<-engineEnded

	// Each event of both conversations came, in order, by the stream, over the cut, and by webhooks. None has a text, a name or an
	// address.
	expect(openings.Load() > 1, true)
	for _, log := range []*eventLog{byStream, byWebhook} {
		for _, chat := range []*agent{grace, again} {
			log.expectAll(ctx, chat.conversationID, chat.conversation(ctx).Version)
		}
		log.expectNone("Vera", "Grace", "@visitor.example", "shop.example", "tyre", "squeak", "prices", "Ask me anything")
	}
	stopPosting(ctx, endpoints, os.Getenv("ADMIN_TOKEN"), endpointID)

	hurried := &widget{client: page.client, channelID: page.channelID, token: backEnd.visitorToken("hurried-"+visitor, nil)}
	playTooOften(ctx, hurried)
	fmt.Println("done")
}

// followInto adds the events from now on to the log. It closes caughtUp when the stream has begun.
func followInto(ctx context.Context, log *eventLog, client events.ConversationEventServiceClient, caughtUp chan struct{}, token func() string) {
	begun := sync.OnceFunc(func() { close(caughtUp) })
	latest := &events.SubscribeConversationEventsRequest{Start: events.EventStart_EVENT_START_LATEST}
	for update, err := range followEvents(ctx, client, latest, token) {
		if ctx.Err() != nil {
			return
		}
		switch update := must(update, err).Update.(type) { // Others are skipped, also those of later versions.
		case *events.SubscribeConversationEventsResponse_Published:
			event := update.Published
			log.add(event.Id, event.AggregateId, event.Version, must(proto.Marshal(event)))
		case *events.SubscribeConversationEventsResponse_CaughtUp:
			begun()
		}
	}
}

// answerTurn greets in two parts, repeats what the visitor wrote, and hands off to a person.
func answerTurn(ctx context.Context, robot *engine, turn *bots.Turn) error {
	if turn.Number == 1 {
		greeting := []string{"Hello, I am a program.", "Ask me anything."}
		// Another attempt goes on after the parts that were sent.
		for at := int(turn.SentParts); at < len(greeting); at++ {
			if err := robot.send(ctx, turn, at == len(greeting)-1, say(greeting[at])); err != nil {
				return err
			}
		}
		return nil
	}
	texts, err := robot.asked(ctx, turn)
	if err != nil {
		return err
	}
	if text := strings.Join(texts, "\n"); !strings.Contains(text, "person") {
		return robot.send(ctx, turn, true, say("You wrote: "+text))
	}
	return robot.send(ctx, turn, true, say("A colleague comes."), handOff("The visitor asked for a person."))
}
