"""How the tiny models that come with vitan were trained: six objectives, one small ViT, one drawn world."""
