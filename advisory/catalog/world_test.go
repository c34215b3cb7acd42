package catalog

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"sync"
	"testing"
	"time"

	"github.com/weirfs/weir/internal/wintest"
)

// The times of the tests: the article's catalogs were signed in 2009, and the tests live much later.
var (
	signingTime = time.Date(2009, 11, 25, 12, 0, 0, 0, time.UTC)
	today       = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
)

// world is the certificates of the tests. Leafs expire in 2010 and the others much later.
type world struct {
	root, ca, leaf, component, lasting, stamper wintest.Identity
	keys                                        [3]*rsa.PrivateKey
}

// theWorld makes keys once: that takes the longest.
var theWorld = sync.OnceValue(func() *world {
	w := &world{}
	for i := range w.keys {
		w.keys[i], _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	w.root = wintest.Issue(authority(), "Test Root", w.keys[0], nil)
	w.ca = wintest.Issue(authority(), "Test Intermediate", w.keys[1], &w.root)
	w.leaf = wintest.Issue(expiring(x509.ExtKeyUsageCodeSigning), "Test Publisher", w.keys[2], &w.ca)
	component := expiring(x509.ExtKeyUsageCodeSigning)
	component.UnknownExtKeyUsage = append(component.UnknownExtKeyUsage, []int{1, 3, 6, 1, 4, 1, 311, 10, 3, 6})
	w.component = wintest.Issue(component, "Test Component", w.keys[2], &w.ca)
	w.lasting = wintest.Issue(leaf(x509.ExtKeyUsageCodeSigning), "Test Lasting Publisher", w.keys[2], &w.ca)
	w.stamper = wintest.Issue(stamping(), "Test Stamper", w.keys[2], &w.ca)
	return w
})

func authority() x509.Certificate {
	return x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		SignatureAlgorithm: x509.SHA1WithRSA}
}

func leaf(usage x509.ExtKeyUsage) x509.Certificate {
	return x509.Certificate{BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{usage}, SignatureAlgorithm: x509.SHA1WithRSA}
}

// stamping is a leaf whose usage nobody may pass over, as RFC 3161 wants it of who stamps.
func stamping() x509.Certificate {
	t := leaf(x509.ExtKeyUsageTimeStamping)
	t.ExtKeyUsage = nil
	t.ExtraExtensions = []pkix.Extension{{Id: []int{2, 5, 29, 37}, Critical: true,
		Value: wintest.DER(0x30, wintest.DEROID(usageStamp))}}
	return t
}

func expiring(usage x509.ExtKeyUsage) x509.Certificate {
	t := leaf(usage)
	t.NotAfter = time.Date(2010, 12, 1, 0, 0, 0, 0, time.UTC)
	return t
}

// given is Roots with that certificate given.
func given(t *testing.T, id wintest.Identity) Roots {
	t.Helper()
	roots, err := ReadRoots(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: id.Cert.Raw}))
	if err != nil {
		t.Fatal(err)
	}
	return roots
}

// pinned is Roots to which that certificate is one of Microsoft's.
func pinned(id wintest.Identity) Roots {
	return Roots{microsoft: map[fingerprint]string{sha256.Sum256(id.Cert.Raw): "of the test"}}
}

// list is a list of two files.
func list(version int) *wintest.Catalog {
	return &wintest.Catalog{Version: version, Made: signingTime.Add(-time.Hour), Members: []wintest.CatalogMember{
		{Hash: sum(20), File: "fltmgr.sys", OS: "2:5.2", PE: true},
		{Hash: sum(32), File: "ntoskrnl.exe", OS: "2:6.0"},
	}}
}

// sum is a hash of that many bytes.
func sum(size int) []byte {
	all := sha256.Sum256([]byte("fltmgr"))
	return all[:size]
}

// stamped signs the list with the leaf and stamps it with the stamper.
func stamped(c *wintest.Catalog, by wintest.Identity, stamp func(wintest.Identity, time.Time) func([]byte) []byte) []byte {
	w := theWorld()
	s := wintest.Signing{By: by, Time: signingTime}
	if stamp != nil {
		s.Stamps = append(s.Stamps, stamp(w.stamper, signingTime))
	}
	return c.Sign([]wintest.Identity{by, w.ca, w.stamper}, s)
}

// token is wintest.TimeStamp with the certificates that a token has of its own.
func token(by wintest.Identity, at time.Time) func([]byte) []byte {
	return wintest.TimeStamp(by, at, by, theWorld().ca)
}

// proofOf parses a catalog, which must parse, and judges it.
func proofOf(t *testing.T, ber []byte, roots Roots) Proof {
	t.Helper()
	c, err := Parse(ber)
	if err != nil {
		t.Fatal(err)
	}
	return c.Verify(roots, today)
}
