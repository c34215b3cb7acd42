package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/manager"
)

// portProtocol is what a connection speaks after POST /v1/filters/{filter}/port: messages, each behind its length in four
// bytes, the highest first.
const portProtocol = "weir-port"

// Conversation is one end of a connection to a filter's port. It is safe for concurrent use. Besides the message that is
// being written, and the one that has been read, it keeps none: a peer that reads nothing holds up who sends, for as long
// as that one wants to wait.
type Conversation struct {
	conn     net.Conn
	out, in  chan []byte
	ending   chan struct{} // closed by Close: what is being written is the last
	over     chan struct{} // closed when there is nothing to be had from the connection any more
	once     sync.Once     // ending
	overOnce sync.Once
	workers  sync.WaitGroup
}

var _ weir.Port = (*Conversation)(nil)

// lastWords is how long an end that closes a conversation waits for the other to take the message that is being written.
const lastWords = time.Second

func converse(conn net.Conn) *Conversation {
	c := &Conversation{conn: conn, out: make(chan []byte), in: make(chan []byte), ending: make(chan struct{}), over: make(chan struct{})}
	written := make(chan struct{})
	c.workers.Go(func() {
		defer close(written)
		c.write()
	})
	c.workers.Go(c.read)
	c.workers.Go(func() { // what ends the two
		<-c.ending
		_ = conn.SetWriteDeadline(time.Now().Add(lastWords))
		<-written
		_ = conn.Close()
	})
	return c
}

func (c *Conversation) end() { c.overOnce.Do(func() { close(c.over) }) }

func (c *Conversation) write() {
	defer c.end()
	for {
		select {
		case <-c.ending:
			return
		case <-c.over:
			return
		case message := <-c.out:
			frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(message)), uint32(len(message)))
			if _, err := c.conn.Write(append(frame, message...)); err != nil {
				return
			}
		}
	}
}

func (c *Conversation) read() {
	defer c.end()
	from := bufio.NewReader(c.conn)
	for {
		message, err := readMessage(from)
		if err != nil {
			return
		}
		select {
		case c.in <- message:
		case <-c.ending:
			return
		}
	}
}

// readMessage reads one message. Its room is made as it comes, not as it is announced.
func readMessage(from io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > weir.MaxMessage {
		return nil, fmt.Errorf("a message of %d bytes", n)
	}
	var message bytes.Buffer
	if _, err := io.CopyN(&message, from, int64(n)); err != nil {
		return nil, err
	}
	return message.Bytes(), nil
}

// Send implements weir.Port.
func (c *Conversation) Send(ctx context.Context, message []byte) error {
	if len(message) > weir.MaxMessage {
		return refusal("send message", "", fmt.Errorf("it has %d bytes", len(message)), fmt.Sprintf("send at most %d bytes at a time", weir.MaxMessage))
	}
	select {
	case c.out <- bytes.Clone(message):
		return nil
	case <-c.over:
		return ended("send message")
	case <-c.ending:
		return ended("send message")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Receive implements weir.Port.
func (c *Conversation) Receive(ctx context.Context) ([]byte, error) {
	select {
	case message := <-c.in:
		return message, nil
	case <-c.over:
		return nil, ended("receive message")
	case <-c.ending:
		return nil, ended("receive message")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func ended(op string) error {
	return &weir.Error{Op: op, Kind: weir.KindAbsent, Err: errors.New("the conversation has ended")}
}

// Close ends the conversation, when the message that is being written has been taken, or has not for a second. It may be
// called twice.
func (c *Conversation) Close() error {
	c.once.Do(func() { close(c.ending) })
	c.workers.Wait()
	return nil
}

// port has a program talk to a filter.
func (s *Server) port(r *request) (any, error) {
	query, err := r.query("load")
	if err != nil {
		return nil, err
	}
	load, err := boolean(r.op, query["load"])
	if err != nil {
		return nil, err
	}
	if err := r.upgradesTo(portProtocol); err != nil {
		return nil, err
	}
	peer := weir.Peer{PID: r.peer.PID, UID: r.peer.UID, GID: r.peer.GID}
	place, err := s.options.Engine.Connect(r.Context(), r.PathValue("filter"), peer, load)
	switch {
	case errors.Is(err, manager.ErrNotAdmitted):
		return nil, &statusError{err, http.StatusForbidden}
	case err != nil:
		return nil, err
	}
	return upgrade{portProtocol, func(conn net.Conn) {
		c := converse(conn)
		defer c.Close()
		_ = place.Talk(c) // The manager has told of the error.
	}}, nil
}

// boolean reads a parameter; none means false.
func boolean(op, text string) (bool, error) {
	switch text {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, refusal(op, text, errors.New("it is neither true nor false"), "see /v1/openapi.yaml")
}

// Connect connects to a filter's port. With load, a filter that is not loaded is, until the last program that wants it so
// has gone. The caller closes the conversation.
func (c *Client) Connect(ctx context.Context, filter string, load bool) (*Conversation, error) {
	path := "/v1/filters/" + url.PathEscape(filter) + "/port"
	if load {
		path += "?load=true"
	}
	conn, err := c.Upgrade(ctx, path, portProtocol)
	if err != nil {
		return nil, err
	}
	return converse(conn), nil
}
