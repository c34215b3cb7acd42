package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/peer"
)

func TestStatusTellsWhatRuns(t *testing.T) {
	b := begin(t)
	var s Status
	if err := b.Get(t.Context(), "/v1/status", nil, &s); err != nil {
		t.Fatal(err)
	}
	if s.What != "test" || s.PID != os.Getpid() || s.State != b.state || s.Namespace == 0 || time.Since(s.Since) > time.Minute {
		t.Errorf("%+v", s)
	}
}

// TestErrorsArriveAsTheyAre sends every kind there and back.
func TestErrorsArriveAsTheyAre(t *testing.T) {
	for _, e := range []*weir.Error{
		{Op: "use a", Kind: weir.KindFailed, Err: errors.New("b")},
		{Op: "use a", Kind: weir.KindRefused, Path: "/a\nb\xff", Err: errors.New("b"), Hint: "do c"},
		{Op: "use a", Kind: weir.KindUnsupported, Path: `"`, Err: errors.New("b")},
		{Op: "use a", Kind: weir.KindAbsent, Path: "/a", Err: errors.New("b"), Hint: "do c"},
		{Op: "use a", Kind: weir.KindBehind, Err: errors.New("b")},
		{Op: "use a", Kind: weir.KindDiffers, Err: errors.New("b")},
	} {
		body, err := json.Marshal(failureOf("ask", e))
		if err != nil {
			t.Fatal(err)
		}
		got := answeredWith("500", body)
		if got.Error() != e.Error() || weir.KindOf(got) != e.Kind {
			t.Errorf("%q arrives as %q", e, got)
		}
		wrapped := failureOf("ask", fmt.Errorf("around: %w", e)).err()
		if want := "ask: around: " + e.Error(); wrapped.Error() != want || weir.KindOf(wrapped) != e.Kind {
			t.Errorf("%q arrives as %q", want, wrapped)
		}
	}
	if err := answeredWith("500 Oops", []byte("<html>")); !strings.Contains(err.Error(), "500 Oops") {
		t.Error(err)
	}
}

func TestWhatIsNotServedIsRefused(t *testing.T) {
	b := begin(t)
	b.fails(weir.KindRefused, http.MethodGet, "/v1/nothing", nil)
	b.fails(weir.KindRefused, http.MethodGet, "/", nil)
	b.fails(weir.KindRefused, http.MethodGet, "/v1/status?a=b", nil)
	if e := b.fails(weir.KindRefused, http.MethodDelete, "/v1/status", nil); !strings.Contains(e.Error(), "does not take DELETE") {
		t.Error(e)
	}
}

// reader is a request with a body.
func reader(body string) *request {
	hr, _ := http.NewRequest(http.MethodPost, "/", nil)
	hr.Body = http.MaxBytesReader(nil, io.NopCloser(strings.NewReader(body)), maxBody)
	return &request{Request: hr, op: "test"}
}

func TestBodiesAreBoundedAndExact(t *testing.T) {
	var into struct {
		A string `json:"a"`
	}
	if err := reader(`{"a":"b"} `).read(&into); err != nil || into.A != "b" {
		t.Errorf("%q, %v", into.A, err)
	}
	for body, status := range map[string]int{
		"": 400, "{": 400, `{"b":1}`: 400, `{"a":1}`: 400, `{} {}`: 400, `[]`: 400,
		`{"a":"` + strings.Repeat("a", maxBody) + `"}`: 413,
	} {
		err := reader(body).read(&into)
		if weir.KindOf(err) != weir.KindRefused || statusOf(err) != status {
			t.Errorf("%.20q: %v, status %d", body, err, statusOf(err))
		}
	}
}

func TestOthersGetNoAnswer(t *testing.T) {
	for uid, allowed := range map[uint32]bool{0: true, uint32(os.Geteuid()): true, 12345: false} {
		ctx := context.WithValue(t.Context(), peerKey{}, peer.Credentials{UID: uid})
		_, err := mayAsk(ctx)
		if (err == nil) != allowed || !allowed && (statusOf(err) != http.StatusForbidden || weir.KindOf(err) != weir.KindRefused) {
			t.Errorf("user %d: %v", uid, err)
		}
	}
	if _, err := mayAsk(t.Context()); statusOf(err) != http.StatusForbidden {
		t.Errorf("who is not known: %v", err)
	}
}

// TestSocketIsPrivate looks at the folder, and puts one there that is not.
func TestSocketIsPrivate(t *testing.T) {
	b := begin(t)
	folder := filepath.Dir(SocketPath(b.state))
	if info, err := os.Lstat(folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	b.end()
	if _, err := os.Lstat(SocketPath(b.state)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
	report(t, os.Chmod(folder, 0o750))
	if _, err := listen(b.state); weir.KindOf(err) != weir.KindRefused {
		t.Errorf("a folder that others may enter: %v", err)
	}
	report(t, os.Remove(folder))
	report(t, os.Symlink(t.TempDir(), folder))
	if _, err := listen(b.state); err == nil {
		t.Error("a link that leads elsewhere is followed")
	}
}

// TestSocketIsReplaced has a former process that hangs with it, one that is dead, and something else.
func TestSocketIsReplaced(t *testing.T) {
	state := t.TempDir()
	hanging, err := listen(state)
	if err != nil {
		t.Fatal(err)
	}
	var next *listener
	if next, err = listen(state); err != nil {
		t.Fatal(err)
	}
	report(t, hanging.Close())
	conn, err := NewClient(next.path).dial(t.Context())
	if err != nil {
		t.Fatalf("the former one takes the socket of the next with it: %v", err)
	}
	report(t, conn.Close())
	report(t, errors.Join(next.UnixListener.Close(), next.folder.Close()))
	for range 2 {
		after, err := listen(state)
		if err != nil {
			t.Fatal(err)
		}
		report(t, errors.Join(after.Close(), after.Close()))
		report(t, os.WriteFile(SocketPath(state), nil, 0o600))
	}
}

func TestLongPathsAreReached(t *testing.T) {
	state := filepath.Join(t.TempDir(), strings.Repeat("a", 200))
	report(t, os.Mkdir(state, 0o700))
	l, err := listen(state)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := NewClient(l.path).dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// TestConnectionIsHandedOver speaks another protocol after a request for it.
func TestConnectionIsHandedOver(t *testing.T) {
	state := t.TempDir()
	l, err := listen(state)
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(Options{State: state})
	echo := func(*request) (any, error) {
		return upgrade{"echo", func(conn net.Conn) { _, _ = io.Copy(conn, conn) }}, nil
	}
	refuse := func(*request) (any, error) {
		return nil, &weir.Error{Op: "echo", Kind: weir.KindAbsent, Err: errors.New("gone")}
	}
	ctx, cancel := context.WithCancel(t.Context())
	server := &http.Server{
		Handler:     s.handler([]route{{"POST /echo", "echo", echo}, {"POST /refuse", "echo", refuse}}),
		ConnContext: withPeer, BaseContext: func(net.Listener) context.Context { return ctx },
	}
	go server.Serve(l)
	defer server.Close()
	c := NewClient(l.path)
	conn, err := c.Upgrade(t.Context(), "/echo", "echo")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := c.Upgrade(t.Context(), "/refuse", "echo"); weir.KindOf(err) != weir.KindAbsent {
		t.Errorf("%v", err)
	}
	if err := c.Do(t.Context(), http.MethodPost, "/echo", nil, nil); weir.KindOf(err) != weir.KindRefused {
		t.Errorf("without an upgrade: %v", err)
	}
	cancel()
	if _, err := io.ReadFull(conn, got); err != io.EOF {
		t.Errorf("at the server's end: %v", err)
	}
	s.handlers.Wait()
}

// TestRunningAreFound announces some that run, one that hangs, one that is dead, and one that is another user's.
func TestRunningAreFound(t *testing.T) {
	dir := t.TempDir()
	serve := func() (path string, end func()) {
		ctx, cancel := context.WithCancel(t.Context())
		s := NewServer(Options{State: t.TempDir(), Announce: dir, What: "test"})
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		for path = SocketPath(s.options.State); NewClient(path).Get(t.Context(), "/v1/status", nil, nil) != nil; {
			time.Sleep(time.Millisecond)
		}
		return path, func() {
			cancel()
			report(t, <-done)
		}
	}
	counts := func(want, wantHidden int) []Running {
		t.Helper()
		running, hidden := list(t.Context(), []string{dir, filepath.Join(dir, "none")})
		if len(running) != want || hidden != wantHidden {
			t.Errorf("found %s, %d hidden, want %d, %d", describe(running), hidden, want, wantHidden)
		}
		return running
	}
	counts(0, 0)
	first, endFirst := serve()
	if found := counts(1, 0); found[0].Client.Path() != first || found[0].Status.What != "test" {
		t.Errorf("%+v", found)
	}
	_, endSecond := serve()
	counts(2, 0)
	endFirst()
	endSecond()
	counts(0, 0)
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("links are left: %v, %v", entries, err)
	}

	hanging, err := listen(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := announce(dir, hanging.path); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if running, _ := list(ctx, []string{dir}); len(running) != 1 || !running[0].mute {
		t.Errorf("one that hangs: %+v", running)
	}
	short, done := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer done()
	if err := NewClient(hanging.path).Get(short, "/v1/status", nil, nil); weir.KindOf(err) != weir.KindFailed || !strings.Contains(err.Error(), "it does not answer") {
		t.Errorf("one that hangs: %v", err)
	}
	report(t, errors.Join(hanging.UnixListener.Close(), hanging.folder.Close()))
	counts(0, 0) // A dead process leaves its socket and its link, which is removed now.
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("links are left: %v, %v", entries, err)
	}
	again, endAgain := serve()
	l, err := announce(dir, again)
	report(t, err)
	l.clear(t.Context()) // Somebody listens by now.
	if found := counts(1, 0); found[0].Client.Path() != again {
		t.Errorf("%+v", found)
	}
	endAgain()
}
