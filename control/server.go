package control

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/weirfs/weir/internal/sys/mount"
)

// Options say what a Server serves. Engine and State are required.
type Options struct {
	Engine Engine

	// State is the state directory, in which the folder of the socket is made.
	State string

	// Announce is the directory in which the socket is announced to commands; see RunningDir. "" is none.
	Announce string

	// What is what runs, in words.
	What string

	// Logger is told of changes that somebody asks for. The default discards.
	Logger *slog.Logger
}

// Server serves the control socket of one running weir.
type Server struct {
	options  Options
	begun    time.Time
	handlers sync.WaitGroup
}

// NewServer makes a server. It starts nothing.
func NewServer(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Server{options: o}
}

// Bounds of one connection. What a handler waits for is bounded by itself, below writeTimeout.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 2 * time.Minute
	idleTimeout   = time.Minute
	maxHeader     = 64 << 10
)

// Run makes the socket, announces it and serves it until ctx ends, which ends every request, too. A socket that a former
// process has left, or has open yet, is replaced. It may be called once.
func (s *Server) Run(ctx context.Context) (err error) {
	s.begun = time.Now()
	listener, err := listen(s.options.State)
	if err != nil {
		return err
	}
	var announced link
	defer func() { err = errors.Join(err, listener.Close(), announced.withdraw()) }()
	if s.options.Announce != "" {
		var unannounced error
		if announced, unannounced = announce(s.options.Announce, listener.path); unannounced != nil {
			s.options.Logger.Warn("commands find this weir with --socket only", "error", unannounced)
		}
	}
	server := &http.Server{
		Handler: s.handler(s.routes()), ConnContext: withPeer, BaseContext: func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(s.options.Logger.Handler(), slog.LevelDebug),
	}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the control socket: %w", err)
	}
	s.handlers.Wait()
	return nil
}

// routes lists everything that can be asked.
func (s *Server) routes() []route {
	return []route{
		{"GET /v1/openapi.yaml", "describe the requests", s.describe},
		{"GET /v1/status", "tell what runs", s.status},
		{"GET /v1/filters", "list filters", s.filters},
		{"POST /v1/filters", "load filter", s.load},
		{"DELETE /v1/filters/{filter}", "unload filter", s.unload},
		{"POST /v1/filters/{filter}/port", "connect to filter", s.port},
		{"GET /v1/instances", "list instances", s.instances},
		{"POST /v1/instances", "attach", s.attach},
		{"DELETE /v1/instances/{instance}", "detach", s.detach},
		{"GET /v1/frames", "list frames", s.frames},
		{"GET /v1/volumes", "list volumes", s.volumes},
		{"POST /v1/mounts", "mount", s.mount},
		{"GET /v1/coverage", "tell what is covered", s.coverage},
		{"GET /v1/explain", "explain", s.explain},
	}
}

//go:embed openapi.yaml
var openAPI []byte

// describe returns openapi.yaml.
func (s *Server) describe(*request) (any, error) { return text{"application/yaml", openAPI}, nil }

// Status is what runs.
type Status struct {
	What  string    `json:"what"`
	PID   int       `json:"pid"`
	State string    `json:"state"` // the state directory, quoted where it is not plain text
	Since time.Time `json:"since"`

	// Namespace is the inode number of the mount namespace in which paths are meant.
	Namespace uint64 `json:"namespace"`
}

func (s *Server) status(r *request) (any, error) {
	if _, err := r.query(); err != nil {
		return nil, err
	}
	namespace, err := mount.OwnInode()
	if err != nil {
		return nil, err
	}
	return Status{s.options.What, os.Getpid(), quoted(s.options.State), s.begun, namespace}, nil
}
