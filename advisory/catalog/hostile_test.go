package catalog

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
	"unicode"

	"github.com/weirfs/weir/internal/wintest"
)

func TestTruncatedCatalogIsRefused(t *testing.T) {
	for name, whole := range map[string][]byte{
		"DER": stamped(list(1), theWorld().leaf, token), "indefinite lengths": indefinite(stamped(list(2), theWorld().leaf, token)),
	} {
		for n := range whole {
			if _, err := Parse(whole[:n]); err == nil {
				t.Errorf("%s: %d of %d bytes are read", name, n, len(whole))
			}
		}
	}
}

func TestWhatIsProvedOfAFlippedCatalogIsWhatWasSigned(t *testing.T) {
	roots := given(t, theWorld().root)
	for name, whole := range map[string][]byte{
		"token":              stamped(list(1), theWorld().leaf, token),
		"countersignature":   stamped(list(2), theWorld().leaf, wintest.Countersignature),
		"indefinite lengths": indefinite(stamped(list(2), theWorld().leaf, token)),
	} {
		want, err := Parse(whole)
		if err != nil {
			t.Fatal(err)
		}
		signer := want.Verify(roots, today).Signer
		refused := 0
		step := 1
		if len(whole) > 8000 { // with indefinite lengths it is the same in more bytes
			step = 3
		}
		for i := 0; i < len(whole); i += step {
			flipped := bytes.Clone(whole)
			flipped[i] ^= 1 << (i % 8)
			got, err := Parse(flipped)
			if err != nil {
				refused++
				continue
			}
			p := got.Verify(roots, today)
			same := reflect.DeepEqual(got.Members, want.Members) && got.Made.Equal(want.Made) && got.Unread == want.Unread
			if p.Proved() && (!same || p.Signer != signer || !p.At.Equal(signingTime)) {
				t.Errorf("%s: with byte %d changed it proves something else: %+v", name, i, p)
			}
		}
		if refused == 0 {
			t.Errorf("%s: nothing was refused", name)
		}
	}
}

func TestSearchOfAChainAmongManyIssuersOfOneNameEnds(t *testing.T) {
	w := theWorld()
	var many []wintest.Identity
	for range maxCertificates/2 - 1 {
		other := wintest.Issue(authority(), "Other", w.keys[0], &w.ca)
		many = append(many, other, wintest.Issue(authority(), "Test Intermediate", w.keys[1], &other))
	}
	der := list(1).Sign(append(many, w.lasting), wintest.Signing{By: w.lasting})
	began := time.Now()
	expectUnproved(t, der, given(t, w.root), "only 64 were looked at")
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	der = list(1).Sign(append(many, w.lasting, w.ca, w.root), wintest.Signing{By: w.lasting})
	if _, err := Parse(der); err == nil {
		t.Errorf("%d certificates are read", maxCertificates+1)
	}
}

func TestCertificateThatCannotBeReadIsPassedOver(t *testing.T) {
	w := theWorld()
	s := wintest.Signing{By: w.lasting}
	l := list(1).List()
	certs := [][]byte{wintest.DER(0x30, []byte{5, 0}), w.lasting.Cert.Raw, w.ca.Cert.Raw}
	der := wintest.SignedData(oidTrustList, l, nil, certs, [][]byte{s.SignerInfo(wintest.Content(l))})
	if p := proofOf(t, der, given(t, w.root)); !p.Proved() {
		t.Errorf("%+v", p)
	}
	der = wintest.SignedData(oidTrustList, l, nil, certs[:2], [][]byte{s.SignerInfo(wintest.Content(l))})
	expectUnproved(t, der, given(t, w.root), "(1 certificates in the catalog could not be read)")
}

func TestSubjectsInReasonsArePrintable(t *testing.T) {
	w := theWorld()
	evil := wintest.Issue(leaf(x509.ExtKeyUsageServerAuth), "evil\x1b[2J\n", w.keys[2], &w.ca)
	p := proofOf(t, list(1).Sign([]wintest.Identity{evil, w.ca}, wintest.Signing{By: evil}), given(t, w.root))
	expectPrintable(t, p)
	if len(p.Unproved) != 1 {
		t.Errorf("%q", p.Unproved)
	}
}

func expectPrintable(t *testing.T, p Proof) {
	t.Helper()
	for _, text := range append(p.Unproved, p.Signer, p.Stamp.By) {
		if len(text) > 64*maxText {
			t.Errorf("a text has %d bytes", len(text))
		}
		for _, r := range text {
			if !unicode.IsPrint(r) {
				t.Errorf("%q cannot be printed", text)
			}
		}
	}
}

// FuzzCatalog also starts from the files that WEIR_TEST_CATALOGS names, a pattern: real ones are not in this tree.
func FuzzCatalog(f *testing.F) {
	w := theWorld()
	for version := 1; version <= 2; version++ {
		f.Add(list(version).Unsigned())
		f.Add(stamped(list(version), w.leaf, token))
		f.Add(stamped(list(version), w.component, wintest.Countersignature))
		f.Add(indefinite(stamped(list(version), w.leaf, token)))
	}
	names, _ := filepath.Glob(os.Getenv("WEIR_TEST_CATALOGS"))
	for _, name := range names {
		if data, err := os.ReadFile(name); err == nil {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data)
		if err != nil {
			return
		}
		for _, m := range c.Members {
			if len(m.Hash) != m.Algorithm.Size() {
				t.Errorf("a hash of %s has %d bytes", m.Algorithm, len(m.Hash))
			}
		}
		expectPrintable(t, c.Verify(Roots{}, today))
		// With all its certificates trusted, more of a catalog is looked at.
		p := c.Verify(Roots{given: c.signed.certs}, today)
		expectPrintable(t, p)
		if p.Proved() && (!p.Intact || p.Root == RootNone || p.Signer == "") {
			t.Errorf("%+v", p)
		}
		der, _, err := toDER(data)
		if err != nil {
			t.Fatal(err)
		}
		if again, rest, err := toDER(der); err != nil || len(rest) > 0 || !bytes.Equal(again, der) {
			t.Errorf("rewritten twice it differs: %v", err)
		}
	})
}
