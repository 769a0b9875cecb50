import '@deepft-lab/parts/lib/style.css';
import './base.css';
