package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/peer"
)

// Client asks one running weir. It is safe for concurrent use.
type Client struct {
	path string
	http http.Client
}

// NewClient returns a client of the weir that serves a socket. It connects when it asks.
func NewClient(path string) *Client {
	c := &Client{path: path}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx) }
	c.http.Transport = &http.Transport{DialContext: dial, DisableKeepAlives: true}
	return c
}

// Path returns the path of the socket.
func (c *Client) Path() string { return c.path }

// Get asks for the answer to a GET of a path, such as "/v1/filters".
func (c *Client) Get(ctx context.Context, path string, query url.Values, into any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.Do(ctx, http.MethodGet, path, nil, into)
}

// How long an answer may take. A change takes at most workTime, unless the weir hangs.
const (
	getPatience    = 15 * time.Second
	changePatience = workTime + 15*time.Second
)

// Do asks for something to be done. body is sent as JSON, and the answer is decoded, unless they are nil. The error of
// the running weir arrives as it is there.
func (c *Client) Do(ctx context.Context, method, path string, body, into any) error {
	limit := changePatience
	if method == http.MethodGet {
		limit = getPatience
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	answer, err := c.ask(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return c.failed(err)
	case answer.StatusCode >= http.StatusMultipleChoices:
		return answeredWith(answer.Status, content)
	case into == nil:
		return nil
	}
	if err := json.Unmarshal(content, into); err != nil {
		return c.failed(fmt.Errorf("its answer is not understood: %w", err))
	}
	return nil
}

// Upgrade asks for a connection that speaks another protocol from then on. The caller closes it.
func (c *Client) Upgrade(ctx context.Context, path, protocol string) (net.Conn, error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, c.failed(err)
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	upgraded, err := c.upgrade(ctx, conn, path, protocol)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return upgraded, nil
}

func (c *Client) upgrade(ctx context.Context, conn net.Conn, path, protocol string) (net.Conn, error) {
	r, err := newRequest(ctx, http.MethodPost, path, nil, protocol)
	if err != nil {
		return nil, err
	}
	if err := r.Write(conn); err != nil {
		return nil, c.failed(err)
	}
	buffered := bufio.NewReader(conn)
	answer, err := http.ReadResponse(buffered, r)
	if err != nil {
		return nil, c.failed(err)
	}
	if answer.StatusCode == http.StatusSwitchingProtocols {
		return &resumed{conn, buffered}, nil
	}
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, c.failed(err)
	}
	return nil, answeredWith(answer.Status, content)
}

func (c *Client) ask(ctx context.Context, method, path string, body any) (*http.Response, error) {
	r, err := newRequest(ctx, method, path, body, "")
	if err != nil {
		return nil, err
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, c.failed(err)
	}
	return answer, nil
}

func newRequest(ctx context.Context, method, path string, body any, protocol string) (*http.Request, error) {
	var content io.Reader = http.NoBody
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://weir"+path, content)
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if protocol != "" {
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", protocol)
	}
	return r, nil
}

// dial connects, and makes sure that who listens is one that the caller trusts with what it asks for: root, or the
// caller's own user.
func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	folder, err := os.Open(filepath.Dir(c.path))
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", within(folder, filepath.Base(c.path)))
	if err != nil {
		return nil, err
	}
	who, err := peer.Of(conn)
	if err == nil && who.UID != 0 && who.UID != uint32(os.Geteuid()) {
		err = fmt.Errorf("user %d serves it", who.UID)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// failed says why nothing was answered.
func (c *Client) failed(err error) error {
	var asked *url.Error
	if errors.As(err, &asked) {
		err = asked.Err
	}
	e := &weir.Error{Op: "ask the weir at", Kind: weir.KindRefused, Path: c.path, Err: err, Hint: notServed}
	var number syscall.Errno
	switch {
	case errors.Is(err, fs.ErrPermission):
		e.Err, e.Hint = errors.New("it is another user's"), askAsRoot
	case errors.As(err, &number):
		e.Err = number
	case errors.Is(err, context.DeadlineExceeded):
		e.Kind, e.Err, e.Hint = weir.KindFailed, errors.New("it does not answer"), "see whether it hangs on a file system that is frozen or gone"
	default:
		e.Kind = weir.KindFailed
	}
	return e
}

const notServed = "start weir mirror, or name the socket of one that runs with --socket"

// Volumes lists the volumes, with texts as they are.
func (c *Client) Volumes(ctx context.Context) (Volumes, error) {
	var list Volumes
	err := c.Get(ctx, "/v1/volumes", nil, &list)
	for i := range list.Volumes {
		list.Volumes[i].Info = withTexts(list.Volumes[i].Info, weir.UnquotePath)
	}
	return list, err
}

// Explain asks whether an event at a path would be seen.
func (c *Client) Explain(ctx context.Context, path string) (x Explanation, err error) {
	err = c.Get(ctx, "/v1/explain", url.Values{"path": {path}}, &x)
	return x, err
}
