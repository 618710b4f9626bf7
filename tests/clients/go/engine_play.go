package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	bots "example.com/shop/gen/frontdesk/botsession/v1"
	api "example.com/shop/gen/frontdesk/conversation/v1"
)

// At most this many turns are worked on at a time.
const maxTurns = 2

// line opens connections that can be cut.
type line struct {
	mutex sync.Mutex
	open  []net.Conn
}

func (l *line) dial(ctx context.Context, address string) (net.Conn, error) {
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err == nil {
		l.mutex.Lock()
		l.open = append(l.open, connection)
		l.mutex.Unlock()
	}
	return connection, err
}

func (l *line) cut() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, connection := range l.open {
		connection.Close()
	}
	l.open = nil
}

// playEngine plays an engine and the visitors of its bot. The environment has ADDRESS, CHANNEL_ID, BOT_TOKEN, and VISITOR_TOKENS,
// separated by commas. The engine's connection is cut while it works on its first turn.
func playEngine() {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	credentials := grpc.WithTransportCredentials(insecure.NewCredentials())
	cutable := &line{}
	own := must(grpc.NewClient("passthrough:///"+os.Getenv("ADDRESS"), credentials, grpc.WithContextDialer(cutable.dial)))
	defer own.Close()
	robot := &engine{client: bots.NewBotEngineServiceClient(own), token: os.Getenv("BOT_TOKEN"), maxTurns: maxTurns}
	var once sync.Once
	var unanswered atomic.Int32
	robot.answer = func(ctx context.Context, turn *bots.Turn) error {
		if found := unanswered.Add(1); found > maxTurns {
			fail(fmt.Sprintf("%d turns at a time", found))
		}
		// The next turn may come as soon as the last part takes effect, before the response.
		answered := sync.OnceFunc(func() { unanswered.Add(-1) })
		defer answered()
		once.Do(cutable.cut)
		if turn.Number == 1 {
			// A model that streams sends a part for each sentence. Another attempt goes on after those that were sent.
			greeting := []string{"Hello, I am a program.", "Ask me anything."}
			for at := int(turn.SentParts); at < len(greeting); at++ {
				endsTurn := at == len(greeting)-1
				if endsTurn {
					answered()
				}
				if err := robot.send(ctx, turn, endsTurn, say(greeting[at])); err != nil {
					return err
				}
			}
			return nil
		}
		texts, err := robot.asked(ctx, turn)
		if err != nil {
			return err
		}
		answered()
		if strings.Contains(strings.Join(texts, "\n"), "person") {
			return robot.send(ctx, turn, true, say("A colleague comes."), handOff("The visitor asked for a person."))
		}
		return robot.send(ctx, turn, true, say(fmt.Sprintf("%d", 6*7)))
	}
	engineCtx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- robot.run(engineCtx) }()

	visitors := api.NewVisitorServiceClient(must(grpc.NewClient(os.Getenv("ADDRESS"), credentials)))
	var chats sync.WaitGroup
	for _, token := range strings.Split(os.Getenv("VISITOR_TOKENS"), ",") {
		chats.Add(1)
		go func() {
			defer chats.Done()
			playVisitor(ctx, visitors, token)
		}()
	}
	chats.Wait()
	stop()
	<-ended
	robot.mutex.Lock()
	expect(robot.opened > 1, true) // Before the cut and after it.
	robot.mutex.Unlock()
	fmt.Println("the engine answered, connected again and handed off")
}

func playVisitor(ctx context.Context, visitors api.VisitorServiceClient, token string) {
	caller := calling(ctx, token)
	chat := must(visitors.StartChat(caller, &api.StartChatRequest{
		ChannelId: os.Getenv("CHANNEL_ID"), PageUrl: "https://shop.example/engine", RequestId: rand.Text(),
	})).Chat
	replies := map[string]string{"Ask me anything.": "What is 6 times 7?", "42": "A person, please"}
	var texts []string
	for entry, err := range watchChat(ctx, visitors, chat.Id, 0, func(bool) string { return token }) {
		must(entry, err)
		if entry.GetMessage() == nil {
			continue
		}
		text := entry.GetMessage().Text
		texts = append(texts, text)
		if reply := replies[text]; reply != "" {
			must(visitors.SendMessage(caller, &api.SendMessageRequest{ChatId: chat.Id, Text: reply, RequestId: rand.Text()}))
		}
		if text == "A colleague comes." {
			break
		}
	}
	expect(texts, []string{
		"Hello, I am a program.", "Ask me anything.", "What is 6 times 7?", "42", "A person, please", "A colleague comes.",
	})
}
