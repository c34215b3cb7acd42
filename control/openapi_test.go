package control

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/weirfs/weir"
	"github.com/weirfs/weir/manager"
	"github.com/weirfs/weir/plane/memory"
	"github.com/weirfs/weir/topology"
)

func document(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(openAPI)
	if err == nil {
		err = doc.Validate(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestEveryRequestIsDescribed compares the document with the routes.
func TestEveryRequestIsDescribed(t *testing.T) {
	var served, described []string
	for _, r := range NewServer(Options{}).routes() {
		served = append(served, r.pattern)
	}
	for path, item := range document(t).Paths.Map() {
		for method := range item.Operations() {
			described = append(described, method+" "+path)
		}
	}
	slices.Sort(served)
	slices.Sort(described)
	if !slices.Equal(served, described) {
		t.Errorf("served are\n%s\ndescribed are\n%s", strings.Join(served, "\n"), strings.Join(described, "\n"))
	}
}

// TestAnswersAreAsDescribed asks a running weir for everything, before and after changes of all kinds.
func TestAnswersAreAsDescribed(t *testing.T) {
	b := scene(t)
	c := &checked{b, document(t)}
	everything := func() {
		for _, path := range []string{
			"/v1/openapi.yaml", "/v1/status", "/v1/filters", "/v1/instances", "/v1/instances?filter=high", "/v1/instances?volume=2", "/v1/frames",
			"/v1/volumes", "/v1/coverage", "/v1/explain?path=/data/a", "/v1/explain?path=/merged", "/v1/explain?path=/odd%0Aplace", "/v1/explain?path=/sick",
		} {
			c.ask(http.MethodGet, path, nil, 200)
		}
	}
	everything()
	c.ask(http.MethodPost, "/v1/filters", LoadRequest{Filter: "spare"}, 201)
	c.ask(http.MethodDelete, "/v1/filters/spare", nil, 200)
	c.ask(http.MethodPost, "/v1/filters", LoadRequest{Filter: "spare", Manifest: spareTwice}, 201)
	c.ask(http.MethodPost, "/v1/filters", LoadRequest{Filter: "spare", Manifest: "="}, 400)
	c.ask(http.MethodPost, "/v1/instances", AttachRequest{"high", "second", 2}, 201)
	id := b.instance("high", "second", 2).ID
	everything()
	c.ask(http.MethodDelete, "/v1/instances/"+id, nil, 200)
	c.ask(http.MethodDelete, "/v1/filters/low?mandatory=true", nil, 200)
	everything()

	b.discovery.Mount(memory.NewVolume(66, "/off"))
	b.await(func(s manager.Snapshot) bool {
		slot := s.Slot("high", 66)
		return slot != nil && slot.State == topology.SlotExcluded
	})
	remarking := filter("remarking", "50", only("memory2"))
	remarking.Remarks = func() []weir.Remark {
		return []weir.Remark{{Volume: 2, Path: "/data", Held: true, Why: "another volume is here", Todo: "decide"}}
	}
	report(t, b.Start(remarking))
	b.await(func(s manager.Snapshot) bool { return s.Slot("remarking", 2).State == topology.SlotAttached })
	if in := b.instance("remarking", "remarking", 2); in.State != held || in.Why != "/data: another volume is here; decide" {
		t.Errorf("told: %+v", in)
	}
	everything()
	c.ask(http.MethodGet, "/v1/explain?path=/off", nil, 200)

	c.ask(http.MethodPost, "/v1/mounts", MountRequest{Type: "tmpfs", Device: "none", Dir: "/m"}, 201)
	c.ask(http.MethodPost, "/v1/mounts", MountRequest{Type: "tmpfs", Dir: "/m"}, 400)
	c.ask(http.MethodPost, "/v1/mounts", MountRequest{Type: "tmpfs", Device: `"bad\n"`, Dir: "/m"}, 400)
	c.ask(http.MethodPost, "/v1/instances", AttachRequest{"high", "none", 2}, 404)
	c.ask(http.MethodPost, "/v1/instances", map[string]any{"volume": "2"}, 400)
	c.ask(http.MethodPost, "/v1/filters", LoadRequest{Filter: "nothing"}, 400)
	c.ask(http.MethodGet, "/v1/explain?path=a", nil, 400)
	c.ask(http.MethodGet, "/v1/instances?volume=a", nil, 400)
	c.ask(http.MethodGet, "/v1/instances?volume=99", nil, 404)
	c.ask(http.MethodDelete, "/v1/instances/"+id, nil, 400)
}

// checked asks, and holds each answer against the document.
type checked struct {
	*bench
	doc *openapi3.T
}

func (c *checked) ask(method, path string, body any, status int) {
	c.t.Helper()
	answer, err := c.Client.ask(c.t.Context(), method, path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != status {
		c.t.Errorf("%s %s: %s, %v, want %d\n%s", method, path, answer.Status, err, status, content)
		return
	}
	media := c.described(method, path, answer)
	if media == nil {
		c.t.Errorf("%s %s: %s is not described", method, path, answer.Status)
		return
	}
	var value any = string(content)
	if answer.Header.Get("Content-Type") == "application/json" {
		if err := json.Unmarshal(content, &value); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := media.Schema.Value.VisitJSON(value, openapi3.MultiErrors()); err != nil {
		c.t.Errorf("%s %s: %v\n%s", method, path, err, content)
	}
}

// described finds what the document says of an answer.
func (c *checked) described(method, path string, answer *http.Response) *openapi3.MediaType {
	asked, err := url.Parse(path)
	if err != nil {
		c.t.Fatal(err)
	}
	path = asked.Path
	for _, parent := range []string{"/v1/filters/", "/v1/instances/"} {
		if rest, below := strings.CutPrefix(path, parent); below && rest != "" {
			path = parent + "{" + strings.TrimSuffix(strings.TrimPrefix(parent, "/v1/"), "s/") + "}"
		}
	}
	operation := c.doc.Paths.Value(path).GetOperation(method)
	r := operation.Responses.Status(answer.StatusCode)
	if r == nil {
		r = operation.Responses.Default()
	}
	return r.Value.Content[answer.Header.Get("Content-Type")]
}

// TestDescriptionRefuses proves that the comparison would notice.
func TestDescriptionRefuses(t *testing.T) {
	schema := document(t).Components.Schemas["Filter"].Value
	for _, odd := range []string{`{}`, `{"name":1,"instances":1,"scan_only":0,"blind":0,"altitude":"1","group":"","frame":0,"wants":"","stopping":false,"stats":{},"definitions":[]}`,
		`{"name":"a","instances":1,"scan_only":0,"blind":0,"altitude":"1","group":"","frame":0,"wants":"","stopping":false,"stats":0,"definitions":[]}`} {
		var value any
		report(t, json.Unmarshal([]byte(odd), &value))
		if schema.VisitJSON(value) == nil {
			t.Errorf("%s is taken for a filter", odd)
		}
	}
	report(t, schema.VisitJSON(map[string]any{
		"name": "a", "instances": 1.0, "scan_only": 0.0, "blind": 0.0, "altitude": weir.MustAltitude("1.5").String(), "group": "", "frame": 0.0, "wants": "", "stopping": false,
		"stats":       map[string]any{"completed": 1.0, "operations": 0.0, "inside": 0.0, "failures": 0.0, "refused": 1.0, "unseen": 0.0, "delivery": 1024.0, "pre": 0.0, "post": 0.0, "slowest": []any{}},
		"definitions": []any{map[string]any{"instance": "a", "altitude": "1.5", "attach": weir.AttachManual.String()}},
	}))
}
