package wintest_test

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/internal/wintest"
)

// hiveVariants are hives that differ in what Windows has changed over the years, with the same keys.
func hiveVariants() map[string]wintest.Hive {
	all := map[string]wintest.Hive{
		"1.3 lf": {Minor: 3}, "1.5 lh": {Minor: 5}, "1.6 ri": {Minor: 6, PerList: 9}, "1.3 li": {Minor: 3, Plain: true},
	}
	for name, h := range all {
		h.Root.Name = "ROOT"
		h.Root.Put(`A\B`, wintest.Text("t", "text"), wintest.Text("", "default"), wintest.Texts("m", "a", "b"), wintest.Number("n", 7))
		h.Root.Put(`A\B`, wintest.Text("long", strings.Repeat("0123456789", 4000)), wintest.HiveValue{Name: "raw", Type: 3, Data: []byte{1}})
		h.Root.Put("Жук", wintest.Text("имя", "значение"))
		h.Root.Put("many")
		for i := range 40 {
			h.Root.Put(fmt.Sprintf(`many\key %02d`, i))
		}
		all[name] = h
	}
	return all
}

// hiveNode is what hivexml prints of a key.
type hiveNode struct {
	Name   string `xml:"name,attr"`
	Values []struct {
		Key      string   `xml:"key,attr"`
		Type     string   `xml:"type,attr"`
		Encoding string   `xml:"encoding,attr"`
		Value    string   `xml:"value,attr"`
		Strings  []string `xml:"string"`
	} `xml:"value"`
	Nodes []hiveNode `xml:"node"`
}

// flatten returns the paths of all keys, and what their values are.
func (n hiveNode) flatten(path string, into map[string]string) {
	into[path] = "key"
	for _, v := range n.Values {
		text := v.Value + strings.TrimSuffix(strings.Join(v.Strings, "|"), "|") // hivex counts the end of a list as a text
		if raw, err := base64.StdEncoding.DecodeString(v.Value); err == nil && v.Encoding == "base64" {
			text = fmt.Sprintf("%x", raw)
		}
		into[path+":"+v.Key] = v.Type + " " + text
	}
	for _, c := range n.Nodes {
		c.flatten(path+`\`+c.Name, into)
	}
}

func TestHivexReadsWhatWasBuilt(t *testing.T) {
	voltest.RequireTool(t, "hivexml", "libhivex-bin")
	for name, h := range hiveVariants() {
		file := filepath.Join(t.TempDir(), "hive")
		if err := os.WriteFile(file, h.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "hivexml", file).Output()
		var read struct {
			Root hiveNode `xml:"node"`
		}
		if err != nil || xml.Unmarshal(out, &read) != nil {
			t.Fatalf("%s: %v, %s", name, err, out)
		}
		want, got := map[string]string{
			"": "key", `\A`: "key", `\A\B`: "key", `\Жук`: "key", `\many`: "key", `\A\B:t`: "string text",
			`\A\B:`: "string default", `\A\B:m`: "string-list a|b", `\A\B:n`: "int32 7", `\A\B:raw`: "binary 01",
			`\A\B:long`: "string " + strings.Repeat("0123456789", 4000), `\Жук:имя`: "string значение",
		}, map[string]string{}
		for i := range 40 {
			want[fmt.Sprintf(`\many\key %02d`, i)] = "key"
		}
		read.Root.flatten("", got)
		if diff := cmp.Diff(want, got); diff != "" || read.Root.Name != "ROOT" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestReglookupReadsWhatWasBuilt(t *testing.T) {
	voltest.RequireTool(t, "reglookup", "reglookup")
	for name, h := range hiveVariants() {
		file := filepath.Join(t.TempDir(), "hive")
		if err := os.WriteFile(file, h.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "reglookup", "-H", file).Output()
		got := map[string]bool{}
		for line := range strings.Lines(string(out)) {
			got[strings.TrimSpace(line)] = true
		}
		for _, want := range []string{
			"/,KEY,,2009-07-14 00:00:00", "/A/B/t,SZ,text,", "/A/B/,SZ,default,", "/A/B/m,MULTI_SZ,a|b,", "/A/B/n,DWORD,0x00000007,",
			"/A/B/long,SZ," + strings.Repeat("0123456789", 4000) + ",", "/many/key 39,KEY,,2009-07-14 00:00:00",
		} {
			if err != nil || !got[want] {
				t.Errorf("%s: %v, %.60s is not among %d lines: %.500s", name, err, want, len(got), out)
			}
		}
	}
}
