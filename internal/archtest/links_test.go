package archtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// link is [text](target) of Markdown.
var link = regexp.MustCompile(`\[([^\]]*)\]\(([^)#]+)\)`)

// TestLinksLeadToWhatTheyName checks every relative link of the documents: its file exists, and a link
// whose text is a name in code leads to a file that declares it.
func TestLinksLeadToWhatTheyName(t *testing.T) {
	documents, err := filepath.Glob(root + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range append(documents, root+"/README.md") {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range link.FindAllStringSubmatch(string(text), -1) {
			if why := broken(filepath.Dir(document), match[1], match[2]); why != "" {
				t.Errorf("%s: [%s](%s): %s", document, match[1], match[2], why)
			}
		}
	}
}

// broken says what is wrong with a link, or nothing.
func broken(dir, text, target string) string {
	if strings.Contains(target, "://") {
		return ""
	}
	path := filepath.Join(dir, target)
	if !strings.HasSuffix(target, ".go") {
		if _, err := os.Stat(path); err != nil {
			return err.Error()
		}
		return ""
	}
	source, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	name := strings.Trim(text, "`")
	declared := regexp.MustCompile(`(?m)^(func (\([^)]*\) )?|type )` + regexp.QuoteMeta(name) + `\b`)
	if name != text && !declared.Match(source) {
		return fmt.Sprintf("declares no %s", name)
	}
	return ""
}

func TestBrokenLinksAreFound(t *testing.T) {
	for _, test := range []struct{ text, target, want string }{
		{"`broken`", "links_test.go", ""},
		{"`link`", "links_test.go", "declares no"},
		{"here", "links_test.go", ""},
		{"here", "gone.md", "no such file"},
		{"`row`", "table_test.go", ""},
		{"elsewhere", "https://example.org/", ""},
	} {
		if why := broken(".", test.text, test.target); test.want == "" && why != "" || !strings.Contains(why, test.want) {
			t.Errorf("[%s](%s): %q, want %q", test.text, test.target, why, test.want)
		}
	}
}
