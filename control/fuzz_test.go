package control

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/internal/sys/peer"
)

// FuzzRequests sends anything to a running weir: every answer is JSON, and the server survives it.
func FuzzRequests(f *testing.F) {
	f.Add("GET", "/v1/filters", "", "")
	f.Add("POST", "/v1/filters", "", `{"filter":"spare"}`)
	f.Add("POST", "/v1/instances", "", `{"filter":"low","volume":18446744073709551616}`)
	f.Add("DELETE", "/v1/instances/0.0.0", "", "")
	f.Add("DELETE", "/v1/filters/%2e%2e", "mandatory=true", "")
	f.Add("GET", "/v1/explain", "path=%00", "")
	f.Add("GET", "/v1/../v1//filters", "%zz", "{")
	ctx := context.WithValue(f.Context(), peerKey{}, peer.Credentials{UID: uint32(os.Geteuid())})
	f.Fuzz(func(t *testing.T, method, path, query, body string) {
		asked := &url.URL{Path: path, RawQuery: query}
		r := httptest.NewRequestWithContext(ctx, "GET", "/", strings.NewReader(body))
		r.Method, r.URL = method, asked
		b := begin(t, filter("low", "100", everywhere))
		answer := httptest.NewRecorder()
		s := NewServer(Options{Engine: b, State: b.state})
		s.handler(s.routes()).ServeHTTP(answer, r)
		if redirected := answer.Code/100 == 3; !redirected && asked.Path != "/v1/openapi.yaml" && !json.Valid(answer.Body.Bytes()) {
			t.Errorf("%s %s: %d %q", method, asked, answer.Code, answer.Body)
		}
	})
}

// FuzzFailures sends errors there and back. What is no text in an error is quoted by who makes it.
func FuzzFailures(f *testing.F) {
	f.Add("open", "/a\xff", "no", "do")
	f.Fuzz(func(t *testing.T, op, path, why, hint string) {
		valid := func(s string) string { return strings.ToValidUTF8(s, "?") }
		e := &weir.Error{Op: valid(op), Path: path, Err: errors.New("x" + valid(why)), Hint: valid(hint)}
		body, err := json.Marshal(failureOf("ask", e))
		if err != nil {
			t.Fatal(err)
		}
		if got := answeredWith("500", body); got.Error() != e.Error() {
			t.Errorf("%q arrives as %q", e, got)
		}
	})
}
