package image

import (
	"crypto"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"hash"
)

// Authenticode returns the hash by which catalogs and signatures of Windows know an executable: that of the whole file but for
// its checksum, the directory's entry for its certificates, and the certificates, with zeros to a multiple of 8 bytes. So a file
// has the same hash before and after it is signed. Windows (Get-AppLockerFileInformation) and osslsigncode hash the zeros too;
// some tools do not, and disagree on unsigned files of another size.
//
// The hash is SHA-1 or SHA-256. Errors wrap what those of Read do, except that nothing asks for a version; a file whose
// certificates are not the last of it is ErrDamaged, as it is for Windows (MS12-024): to leave out bytes from the middle would
// give the hash of a file that has its sections elsewhere.
func Authenticode(b []byte, h crypto.Hash) ([]byte, error) {
	var sum hash.Hash
	switch h {
	case crypto.SHA1:
		sum = sha1.New()
	case crypto.SHA256:
		sum = sha256.New()
	default:
		return nil, fmt.Errorf("hash an executable: %v is neither SHA-1 nor SHA-256", h)
	}
	l, err := parse(b)
	if err != nil {
		return nil, err
	}
	end, err := l.signedEnd()
	if err != nil {
		return nil, err
	}
	sum.Write(b[:l.checksum])
	from := l.checksum + 4
	if l.certificate != 0 {
		sum.Write(b[from:l.certificate])
		from = l.certificate + 8
	}
	sum.Write(b[from:end])
	sum.Write(make([]byte, -end&7))
	return sum.Sum(nil), nil
}

// signedEnd returns the byte at which the certificates begin, or the size of a file that has none.
func (l *layout) signedEnd() (int, error) {
	at, size := l.certificateTable()
	if size == 0 {
		return len(l.b), nil
	}
	if at+size != uint64(len(l.b)) || at%8 != 0 {
		return 0, fmt.Errorf("%w: its certificates are at bytes %d to %d, and the file has %d", ErrDamaged, at, at+size, len(l.b))
	}
	if at < uint64(l.headers) {
		return 0, fmt.Errorf("%w: its certificates begin within its headers", ErrDamaged)
	}
	for _, s := range l.sections {
		if inFile(s) && uint64(s.PointerToRawData)+uint64(s.SizeOfRawData) > at {
			return 0, fmt.Errorf("%w: its certificates begin within a section", ErrDamaged)
		}
	}
	return int(at), nil
}
