package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/weirfs/weir"
)

// route is one line of the table of what can be asked.
type route struct {
	pattern string // method and path, as http.ServeMux takes them
	op      string // what it does, as errors and the log say it
	answer  func(*request) (any, error)
}

// handler serves routes.
func (s *Server) handler(routes []route) http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.HandleFunc(r.pattern, func(w http.ResponseWriter, hr *http.Request) { s.serve(w, hr, r) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "" {
			s.fail(w, "ask weir", unknown(mux, w, r))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// unknown refuses a path that is not served, or not with this method.
func unknown(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) error {
	if _, err := mayAsk(r.Context()); err != nil {
		return err
	}
	status, why := http.StatusNotFound, "there is no such path"
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := mux.Handler(other); pattern != "" {
			w.Header().Add("Allow", method)
			status, why = http.StatusMethodNotAllowed, "the path does not take "+r.Method
		}
	}
	return &statusError{refusal("ask weir", r.URL.Path, errors.New(why), "GET /v1/openapi.yaml lists what there is"), status}
}

func (s *Server) serve(w http.ResponseWriter, hr *http.Request, route route) {
	s.handlers.Add(1)
	defer s.handlers.Done()
	who, err := mayAsk(hr.Context())
	if err != nil {
		s.fail(w, route.op, err)
		return
	}
	hr.Body = http.MaxBytesReader(w, hr.Body, maxBody)
	r := &request{Request: hr, op: route.op, peer: who}
	answer, err := route.answer(r)
	if !strings.HasPrefix(route.pattern, http.MethodGet+" ") {
		s.audit(r, err)
	}
	if err != nil {
		s.fail(w, route.op, err)
		return
	}
	switch answer := answer.(type) {
	case upgrade:
		s.upgrade(w, r, answer)
	case text:
		w.Header().Set("Content-Type", answer.kind)
		_, _ = w.Write(answer.body) // Who does not take it does not want it.
	case made:
		s.send(w, http.StatusCreated, answer.body)
	default:
		s.send(w, http.StatusOK, answer)
	}
}

// audit tells of everything that somebody had changed, or wanted to.
func (s *Server) audit(r *request, err error) {
	attributes := []any{"request", r.Method + " " + weir.QuotePath(r.URL.Path), "by", r.by(), "pid", r.peer.PID}
	if err != nil {
		attributes = append(attributes, "error", err)
	}
	s.options.Logger.Info("asked to "+r.op, attributes...)
}

func (s *Server) fail(w http.ResponseWriter, op string, err error) {
	s.send(w, statusOf(err), failureOf(op, err))
}

func (s *Server) send(w http.ResponseWriter, status int, body any) {
	encoded, err := json.Marshal(body)
	if err != nil {
		s.options.Logger.Error("an answer cannot be written", "error", err)
		status, encoded = http.StatusInternalServerError, nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(encoded, '\n')) // Who does not take it does not want it.
}

// upgrade hands the connection over.
func (s *Server) upgrade(w http.ResponseWriter, r *request, u upgrade) {
	if err := r.upgradesTo(u.protocol); err != nil {
		s.fail(w, r.op, err)
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.fail(w, r.op, err)
		return
	}
	defer conn.Close()
	defer context.AfterFunc(r.Context(), func() { _ = conn.Close() })()
	if _, err := conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + u.protocol + "\r\n\r\n")); err != nil {
		return
	}
	u.serve(&resumed{conn, buffered.Reader})
}

// resumed is a connection of which something has been read already.
type resumed struct {
	net.Conn
	from *bufio.Reader
}

// Read implements net.Conn.
func (c *resumed) Read(b []byte) (int, error) { return c.from.Read(b) }
