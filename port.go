package weir

import "context"

// Peer is the program at the other end of a port, as the kernel names it.
type Peer struct {
	PID      int
	UID, GID uint32
}

// Port is a conversation of a filter with a program, in messages of at most MaxMessage bytes. It is safe for concurrent
// use.
type Port interface {
	// Send blocks until the message is on its way, or ctx ends: that is no failure of the port, which can be used
	// further. The error is of KindAbsent if the program has ended the conversation.
	Send(ctx context.Context, message []byte) error

	// Receive returns the next message. The same errors.
	Receive(ctx context.Context) ([]byte, error)
}

// MaxMessage is how many bytes a message through a port may have.
const MaxMessage = 1 << 20
