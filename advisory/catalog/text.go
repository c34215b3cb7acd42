package catalog

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"strings"
	"unicode"
)

// printable makes text safe to show: what cannot be printed is replaced, and what is too long is cut.
func printable(s string) string {
	if len(s) > 4*maxText {
		s = s[:4*maxText]
	}
	s = clean(s)
	if r := []rune(s); len(r) > maxText {
		return string(r[:maxText])
	}
	return s
}

// clean replaces what cannot be printed.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// nameOf writes a name, with the domain components in letters that the root of 2001 has and crypto/x509/pkix writes in digits.
func nameOf(name pkix.Name) string {
	s := name.String()
	domain := asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}
	for _, part := range name.Names {
		text, ok := part.Value.(string)
		if !ok || !part.Type.Equal(domain) || strings.ContainsFunc(text, notPlain) {
			continue
		}
		if der, err := asn1.Marshal(text); err == nil {
			s = strings.ReplaceAll(s, domain.String()+"=#"+hex.EncodeToString(der), "DC="+text)
		}
	}
	return printable(s)
}

// notPlain reports whether a character is none of those that domains are made of.
func notPlain(r rune) bool {
	return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-'
}
