"""The Ray job `glasseg correct`: what a person says of pictures, published and remembered."""
