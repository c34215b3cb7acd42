package catalog

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirfs/weir/internal/voltest"
	"github.com/weirfs/weir/internal/wintest"
)

// folder is a temporary folder with the certificates and the key of the world.
func folder(t *testing.T) string {
	t.Helper()
	w := theWorld()
	dir := t.TempDir()
	key := pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(w.keys[2])}
	for name, ids := range map[string][]wintest.Identity{
		"root.pem": {w.root}, "ca.pem": {w.ca}, "leaf.pem": {w.leaf, w.ca}, "lasting.pem": {w.lasting, w.ca}, "stamper.pem": {w.stamper, w.ca},
	} {
		var all []byte
		for _, id := range ids {
			all = append(all, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: id.Cert.Raw})...)
		}
		write(t, dir, name, all)
	}
	write(t, dir, "key.pem", pem.EncodeToMemory(&key))
	return dir
}

func write(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// other runs another program in dir, and skips where it is not installed.
func other(t *testing.T, dir, program string, args ...string) (string, error) {
	t.Helper()
	voltest.RequireTool(t, program, program)
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestOsslsigncodeJudgesBuiltCatalogsTheSame(t *testing.T) {
	w := theWorld()
	dir := folder(t)
	roots := given(t, w.root)
	certs := []wintest.Identity{w.leaf, w.ca, w.stamper}
	wrongUsage := wintest.Issue(leaf(x509.ExtKeyUsageServerAuth), "Server", w.keys[2], &w.ca)
	underLeaf := wintest.Issue(leaf(x509.ExtKeyUsageCodeSigning), "Under a leaf", w.keys[0], &w.lasting)
	good := stamped(list(1), w.leaf, token)
	for i, c := range []struct {
		name string
		der  []byte
		want bool
	}{
		{"version 1 with a token", good, true},
		{"version 2 with a token", stamped(list(2), w.leaf, token), true},
		{"version 1 with a countersignature", stamped(list(1), w.leaf, wintest.Countersignature), true},
		{"no stamp", stamped(list(1), w.lasting, nil), true},
		{"an expired leaf without a stamp", list(1).Sign(certs, wintest.Signing{By: w.leaf}), false},
		{"a changed signature", flipLast(good, w), false},
		{"a changed member", []byte(strings.Replace(string(good), string(sum(32)), strings.Repeat("x", 32), 1)), false},
		{"a wrong usage", list(1).Sign(append(certs, wrongUsage), wintest.Signing{By: wrongUsage}), false},
		{"a leaf as an authority", list(1).Sign(append(certs, w.lasting, underLeaf), wintest.Signing{By: underLeaf}), false},
		{"a missing intermediate", list(1).Sign(certs[:1], wintest.Signing{By: w.lasting}), false},
	} {
		name := fmt.Sprintf("%d.cat", i)
		write(t, dir, name, c.der)
		out, err := other(t, dir, "osslsigncode", "verify", "-in", name, "-CAfile", "root.pem", "-TSA-CAfile", "root.pem", "-ignore-crl")
		p := proofOf(t, c.der, roots)
		if p.Proved() != c.want || (err == nil) != c.want {
			t.Errorf("%s: here %q; osslsigncode says %v:\n%s", c.name, p.Unproved, err, out)
		}
	}
}

func TestCatalogsThatOsslsigncodeHasSignedAreProved(t *testing.T) {
	dir := folder(t)
	unix := fmt.Sprint(signingTime.Unix())
	for version := 1; version <= 2; version++ {
		write(t, dir, "unsigned.cat", list(version).Unsigned())
		for _, hash := range []string{"sha1", "sha256"} {
			for who, stampArgs := range map[string][]string{
				"leaf.pem":    {"-TSA-certs", "stamper.pem", "-TSA-key", "key.pem", "-TSA-time", unix},
				"lasting.pem": nil,
			} {
				name := fmt.Sprintf("%d-%s-%s.cat", version, hash, who)
				args := append([]string{"sign", "-certs", who, "-key", "key.pem", "-h", hash, "-time", unix}, stampArgs...)
				if out, err := other(t, dir, "osslsigncode", append(args, "-in", "unsigned.cat", "-out", name)...); err != nil {
					t.Fatalf("%s: %v\n%s", name, err, out)
				}
				der, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				p := proofOf(t, der, given(t, theWorld().root))
				if !p.Proved() || p.Root != RootGiven || len(p.Chain) != 3 || !p.Claimed.Equal(signingTime) {
					t.Errorf("%s: %+v", name, p)
				}
				if stamped := stampArgs != nil; stamped != p.At.Equal(signingTime) || stamped != (p.Stamp.Root == RootGiven) {
					t.Errorf("%s: %+v", name, p)
				}
			}
		}
	}
}

func TestOpensslReadsBuiltTimeStamp(t *testing.T) {
	dir := folder(t)
	c, err := Parse(stamped(list(1), theWorld().leaf, token))
	if err != nil {
		t.Fatal(err)
	}
	s := c.signed.signers[0]
	write(t, dir, "signature", s.signature)
	write(t, dir, "token", s.unsigned[oidStampToken][0].full)
	args := []string{"ts", "-verify", "-data", "signature", "-token_in", "-in", "token", "-CAfile", "root.pem", "-untrusted", "ca.pem",
		"-no_check_time"}
	if out, err := other(t, dir, "openssl", args...); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

const stampConfig = `
[tsa]
default_tsa = one
[one]
serial = serial
default_policy = 1.2.3.4
signer_digest = sha256
digests = sha1, sha256
ess_cert_id_alg = sha256
accuracy = secs:1
ordering = yes
`

func TestTimeStampOfOpensslIsProved(t *testing.T) {
	w := theWorld()
	dir := folder(t)
	write(t, dir, "ts.conf", []byte(stampConfig))
	write(t, dir, "serial", []byte("01\n"))
	ask := func(signature []byte) []byte {
		write(t, dir, "signature", signature)
		for _, args := range [][]string{
			{"ts", "-query", "-data", "signature", "-sha1", "-cert", "-out", "query"},
			{"ts", "-reply", "-config", "ts.conf", "-queryfile", "query", "-signer", "stamper.pem", "-inkey", "key.pem", "-chain", "ca.pem",
				"-token_out", "-out", "token"},
		} {
			if out, err := other(t, dir, "openssl", args...); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}
		token, err := os.ReadFile(filepath.Join(dir, "token"))
		if err != nil {
			t.Fatal(err)
		}
		return wintest.DER(0x30, wintest.DEROID(oidStampToken), wintest.DER(0x31, token))
	}
	der := list(2).Sign([]wintest.Identity{w.lasting, w.ca}, wintest.Signing{By: w.lasting, Stamps: []func([]byte) []byte{ask}})
	c, err := Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	if p := c.Verify(given(t, w.root), time.Now()); !p.Proved() || p.Stamp.Root != RootGiven || p.Stamp.Time.IsZero() {
		t.Errorf("%+v", p)
	}
}
