// Package control lets commands, and other programs, ask a running weir and change what it does: HTTP and JSON on a unix
// socket. docs/control.md tells users about it; openapi.yaml describes it exactly.
//
// It owns the folder "control" of the state directory with the socket in it, the links that announce running weirs, and
// the rules of who may ask. It decides nothing about filters and volumes: it carries requests to an Engine and its
// answers back.
//
// # Another route
//
// is a line in Server.routes, its handler, and its path in openapi.yaml, which the tests compare with the line. A
// handler gets a request whose peer has been checked, reads its parameters with PathValue, query and read, and returns what
// is sent as JSON, or an error: of a weir.Error everything arrives at the client, also its kind, which becomes the HTTP
// status and the exit status of a command. A handler that returns an upgrade has the connection to itself from then on.
// What a handler needs of the running weir is a method of Engine, which package daemon has.
//
// # Ports
//
// A program that talks to a filter gets a connection of its own, which carries messages from then on (Conversation). What
// they say is between the filter and the program. Neither end keeps more than the message that it writes, and the one that it has
// read: a program that reads nothing makes the filter wait as long as that wants to, and nobody else.
//
// # The socket
//
// The socket is made under another name and renamed, so that one of a former process, which may be hanging in the kernel
// and have it open, is replaced at once. Paths of sockets are bounded to 107 bytes, so that both ends reach it by
// /proc/self/fd. The folder is private, and besides each connection is asked for its peer's credentials: only root and
// the owner of the process get answers, since also a listing shows paths.
//
// # Goroutines and locks
//
// Server.Run blocks; net/http starts a goroutine for each connection, and handlers run on it. A Conversation has one that
// reads, one that writes, and one that ends them. The package has no locks.
// A Client is safe for concurrent use.
package control
