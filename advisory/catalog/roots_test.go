package catalog

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"testing"

	"github.com/weirfs/weir"
)

func TestRootsAreReadFromPEMAndDER(t *testing.T) {
	w := theWorld()
	block := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	one, two := block("CERTIFICATE", w.root.Cert.Raw), block("CERTIFICATE", w.ca.Cert.Raw)
	for name, c := range map[string]struct {
		file []byte
		want int
	}{
		"DER": {w.root.Cert.Raw, 1},
		"two in PEM, with text and another block": {bytes.Join([][]byte{[]byte("roots\n"), one, block("X509 CRL", []byte{1}), two}, nil), 2},
		"nothing":             {nil, 0},
		"text":                {[]byte("no certificate"), 0},
		"no block of the two": {block("PUBLIC KEY", []byte{1}), 0},
		"a bad certificate":   {append(bytes.Clone(one), block("CERTIFICATE", []byte{0x30, 0})...), 0},
		"too many":            {bytes.Repeat(one, maxCertificates+1), 0},
		"too large":           {make([]byte, MaxRoots+1), 0},
	} {
		roots, err := ReadRoots(c.file)
		if len(roots.given) != c.want || (err == nil) != (c.want > 0) || err != nil && weir.KindOf(err) != weir.KindRefused {
			t.Errorf("%s: %d roots, %v", name, len(roots.given), err)
		}
	}
}

func TestGivenRootsLeaveOutNoneOfMicrosofts(t *testing.T) {
	w := theWorld()
	roots := given(t, w.root)
	if len(microsoftRoots()) != 4 || roots.microsoft != nil {
		t.Error("the roots of Microsoft are not those of the table")
	}
	if roots.kind(w.root.Cert) != RootGiven || roots.kind(w.ca.Cert) != RootNone || pinned(w.root).kind(w.root.Cert) != RootMicrosoft {
		t.Error("a certificate is taken for what it is not")
	}
}

func TestDomainComponentsAreWrittenInLettersAndFakeNoOtherPart(t *testing.T) {
	part := func(value string) pkix.RelativeDistinguishedNameSET {
		return pkix.RelativeDistinguishedNameSET{{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}, Value: value}}
	}
	commonName := pkix.RelativeDistinguishedNameSET{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "Root"}}
	for text, sequence := range map[string]pkix.RDNSequence{
		"CN=Root,DC=microsoft,DC=com":                                          {part("com"), part("microsoft"), commonName},
		"CN=Root,0.9.2342.19200300.100.1.25=#130e782c434e3d4d6963726f736f6674": {part("x,CN=Microsoft"), commonName},
	} {
		var name pkix.Name
		name.FillFromRDNSequence(&sequence)
		if got := nameOf(name); got != text {
			t.Errorf("%q, want %q", got, text)
		}
	}
}
