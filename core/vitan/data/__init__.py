"""Pictures in: samples, how files become pictures, how pictures become pixels."""
